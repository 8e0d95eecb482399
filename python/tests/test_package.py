"""The package itself: docs, stubs, errors, and what it does not need."""

from __future__ import annotations

import doctest
import inspect
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import cipherform
import pytest

from folder import Folder

CLASSES = [cipherform.FF1, cipherform.FF3_1, cipherform.Engine, cipherform.Array, cipherform.ChunkedArray, cipherform.Table]


def documented() -> Iterator[tuple[str, str]]:
    for kind in CLASSES:
        yield kind.__name__, kind.__doc__ or ""
        for name, member in vars(kind).items():
            if inspect.isroutine(member) and not name.startswith("_"):
                yield f"{kind.__name__}.{name}", member.__doc__ or ""


@pytest.mark.parametrize(("name", "text"), list(documented()), ids=lambda part: "" if "\n" in part else part)
def test_examples_are_true(name: str, text: str, engine: cipherform.Engine, folder: Folder) -> None:
    globs = {
        "cipherform": cipherform,
        "engine": engine,
        "policy": folder.policy,
        "key_file": folder.key_file,
        "local_kms": folder.local_kms,
    }
    test = doctest.DocTestParser().get_doctest(inspect.cleandoc(text), globs, name, None, None)
    assert test.examples, "no example"
    assert "." not in name or ("Args:" in text and "Raises:" in text)
    said: list[str] = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)


def test_stubs_are_true() -> None:
    done = subprocess.run([sys.executable, "-m", "mypy.stubtest", "cipherform"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_library_is_needed(folder: Folder) -> None:
    program = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pyarrow", "pandas", "polars", "numpy", "arro3"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocker())
import cipherform

cipher = cipherform.FF1(bytes(32), 10)
assert cipher.decrypt_batch(cipher.encrypt_batch(["123456"])) == ["123456"]
engine = cipherform.Engine({str(folder.policy)!r}, key_file={str(folder.key_file)!r}, local_kms={str(folder.local_kms)!r})
table = engine.protect(engine.sql("SELECT '4111111111111111' AS card"), table="any")
print(len(engine.sql("SELECT card FROM t WHERE card = '4111111111111111'", t=table)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr


def test_errors_share_a_base() -> None:
    errors = [getattr(cipherform, name) for name in cipherform.__all__ if name.endswith("Error")]
    assert len(errors) == 10
    for error in errors:
        assert issubclass(error, cipherform.CipherformError)
        raised = error("what", "why")
        copy = pickle.loads(pickle.dumps(raised))
        assert (str(copy), copy.hint, type(copy)) == ("what", "why", error) and error().hint is None
    assert issubclass(cipherform.BadInputError, ValueError) and issubclass(cipherform.IoError, OSError)


def test_secrets_do_not_show_in_errors() -> None:
    wrong: Any = cipherform.FF1
    with pytest.raises(TypeError) as caught:
        wrong("0123456789abcdef", 10)
    assert "0123456789abcdef" not in str(caught.value)
