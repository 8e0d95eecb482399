"""What the tests share: an engine, and the folder of its policy and keys."""

from __future__ import annotations

import os
from collections.abc import Callable

import cipherform
import pytest

from folder import COMMAND, POLICY, Folder


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith("CIPHERFORM_") and name != "CIPHERFORM_BIN"]:
        del os.environ[name]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    if not COMMAND.exists():
        pytest.fail(f"{COMMAND} is missing: run `cargo build --bin cipherform`, or set CIPHERFORM_BIN")
    folder = Folder(tmp_path_factory.mktemp("cipherform"))
    folder.command("init", folder.path)
    folder.policy.write_text(POLICY)
    return folder


@pytest.fixture(scope="session")
def engine(folder: Folder) -> cipherform.Engine:
    return folder.engine()


@pytest.fixture(scope="session")
def analyst(folder: Folder) -> cipherform.Engine:
    return folder.engine(role="analyst")


@pytest.fixture
def refused() -> Callable[..., None]:
    """Checks that a call is refused with an error that holds none of these values."""

    def check(kind: type[Exception], text: str, call: Callable[[], object], *values: str) -> None:
        with pytest.raises(kind) as caught:
            call()
        assert isinstance(caught.value, cipherform.CipherformError)
        said = f"{caught.value} {caught.value!r} {caught.value.hint} {vars(caught.value)}"
        assert text in said
        for value in values:
            assert value not in said

    return check
