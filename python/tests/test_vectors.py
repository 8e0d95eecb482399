"""Every published answer, one at a time and in batches, both ways."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import cipherform
import pytest

VECTORS = Path(__file__).resolve().parents[2] / "tests" / "vectors"
CIPHERS = {"FF1": cipherform.FF1, "FF3-1": cipherform.FF3_1}
FILES = sorted(path for path in VECTORS.glob("*.json") if path.name.endswith(("-ff1.json", "-ff3_1.json")))


def vectors(path: Path) -> tuple[Any, list[dict[str, Any]]]:
    content = json.loads(path.read_text())
    return CIPHERS[content["algorithm"]], content["vectors"]


def cipher(kind: Any, vector: dict[str, Any]) -> Any:
    # `orig` is what the standard of 2016 allows, and its revision does not.
    low = {"min_domain": 100} if vector["domain"] == "orig" and vector["result"] == "valid" else {}
    return kind(bytes.fromhex(vector["key"]), vector["radix"], vector.get("alphabet"), **low)


def pair(vector: dict[str, Any]) -> tuple[Any, Any]:
    return vector.get("pt_str", vector.get("pt")), vector.get("ct_str", vector.get("ct"))


def test_all_files_are_there() -> None:
    assert len(FILES) == 18


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_one_at_a_time(path: Path) -> None:
    kind, all_vectors = vectors(path)
    for vector in all_vectors:
        plain, secret = pair(vector)
        tweak = bytes.fromhex(vector["tweak"])
        if vector["result"] == "valid":
            assert cipher(kind, vector).encrypt(plain, tweak) == secret, vector["id"]
            assert cipher(kind, vector).decrypt(secret, tweak) == plain, vector["id"]
        else:
            with pytest.raises(cipherform.CipherformError):
                cipher(kind, vector).encrypt(plain, tweak)
                pytest.fail(vector["id"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_in_batches(path: Path) -> None:
    kind, all_vectors = vectors(path)
    batches = defaultdict(list)
    for vector in all_vectors:
        if vector["result"] == "valid":
            batches[vector["key"], vector["radix"], vector.get("alphabet"), vector["domain"]].append(vector)
        else:
            with pytest.raises(cipherform.CipherformError):
                cipher(kind, vector).encrypt_batch([pair(vector)[0]], [bytes.fromhex(vector["tweak"])])
                pytest.fail(vector["id"])
    for batch in batches.values():
        engine = cipher(kind, batch[0])
        plain, secret = zip(*map(pair, batch))
        tweaks = [bytes.fromhex(vector["tweak"]) for vector in batch]
        assert engine.encrypt_batch(list(plain), tweaks) == list(secret)
        assert engine.decrypt_batch(list(secret), tweaks) == list(plain)
