# Two commands are all the set-up there is: `make demo` and `make test`.
SHELL := /bin/bash
.PHONY: demo test bench house tools postgresql softhsm secret-service fmt clippy docs rust python

TARGET := $(or $(CARGO_TARGET_DIR),target)
VENV := .venv

# Builds the command and runs the main job on embedded defaults. Leaves its files in ./demo.
demo:
	cargo build --locked --bin cipherform --example demo-data
	tests/demo/demo.sh $(TARGET)/debug

# Installs what the tests need and runs everything.
test: tools fmt house clippy docs rust python

# Races against AES alone, the crate `fpe` and plain stores; the figures go to benches/results. Needs a quiet machine.
bench:
	cargo bench --locked --no-default-features --bench cipher
	cargo bench --locked --no-default-features --features columns --bench columns
	cargo bench --locked --no-default-features --features tokens-sqlite --bench tokens
	cargo bench --locked --no-default-features --features columns,kms-local --bench keys

# A Python with the libraries the Python tests compare with, and the servers the KMS tests talk to; LocalStack wants a Python of its own.
tools: $(VENV)/ready $(VENV)/localstack/ready postgresql softhsm secret-service

$(VENV)/ready: python/tests/requirements.txt tests/kms/requirements.txt
	python3 -c 'import ensurepip, venv' || apt-get install --yes python3-venv
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check $(foreach file,$^,-r $(file))
	touch $@

$(VENV)/localstack/ready: tests/kms/localstack.txt $(VENV)/ready
	python3 -m venv $(VENV)/localstack
	$(VENV)/localstack/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

# A PostgreSQL server for the tests to start; nothing runs by itself.
postgresql:
	ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || { apt-get update && apt-get install --yes --no-install-recommends postgresql; }

# An HSM in software, for the PKCS#11 tests.
softhsm:
	test -e /usr/lib/softhsm/libsofthsm2.so || { apt-get update && apt-get install --yes --no-install-recommends softhsm2; }

# A Secret Service, for the tests of the operating system's keyring.
secret-service:
	command -v dbus-daemon > /dev/null && command -v gnome-keyring-daemon > /dev/null || { apt-get update && apt-get install --yes --no-install-recommends dbus gnome-keyring; }

# Macros declare the KMS clients and the formats, where cargo fmt does not find them.
fmt:
	cargo fmt --all --check
	rustfmt --edition 2024 --check src/kms/*.rs src/formats/builtin/*.rs

# The rules of the source tree: layers, circles, words, lengths. Prints the counts.
house:
	cargo test --locked -p cipherform-house -- --nocapture

clippy:
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --no-default-features --lib -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --workspace

# The command, the demo's data and the tests in one build, so that nothing is linked or compiled twice: with every provider, as the wheel is
# built. The crates of the cipher have tests of their own, in a build of their own: these switch on a feature.
KERNELS := -p cipherform-simd -p cipherform-ascii -p cipherform-cipher
rust: tools
	cargo test --locked --features full --all-targets
	cargo test --locked --features full --doc
	cargo test --locked $(KERNELS) --lib
	cargo test --locked $(KERNELS) --doc

# The wheel goes through the same profile and target folder as the tests.
python: tools
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" MATURIN_PEP517_ARGS="--profile dev --locked" $(VENV)/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --force-reinstall --no-deps ./python
	$(VENV)/bin/python -m pytest -q python/tests
