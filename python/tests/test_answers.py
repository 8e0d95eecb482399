"""What every format and treatment makes of given values is what Rust, SQL and the command make of them.

`tests/answers.rs` holds those to the same file.
"""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import cipherform
import pyarrow as pa
import pytest

from folder import ROOT

OURS = ROOT / "tests" / "vectors" / "ours"
CASES: list[dict[str, Any]] = json.loads((OURS / "answers.json").read_text(encoding="utf-8"))
TYPES: dict[str, pa.DataType] = {
    "Utf8": pa.string(),
    "LargeUtf8": pa.large_string(),
    "Utf8View": pa.string_view(),
    "Dictionary(Int32, Utf8)": pa.dictionary(pa.int32(), pa.string()),
    "Int16": pa.int16(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "Decimal128(12, 2)": pa.decimal128(12, 2),
    "Decimal256(40, 2)": pa.decimal256(40, 2),
    "Date32": pa.date32(),
    "Time32(Millisecond)": pa.time32("ms"),
    'Timestamp(Microsecond, Some("UTC"))': pa.timestamp("us", tz="UTC"),
    "Binary": pa.binary(),
}
ONE_WAY = ("hash", "masked", "fixed", "bucket")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> cipherform.Engine:
    folder: Path = tmp_path_factory.mktemp("ours")
    for name in ("policy.toml", "keyring.json", "kms.json", "unlock.key"):
        shutil.copy(OURS / name, folder / name)
    return cipherform.Engine(
        folder / "policy.toml", key_file=folder / "unlock.key", local_kms=folder / "kms.json"
    )


def array(case: dict[str, Any], values: list[str]) -> pa.Array:
    """Of the type that the case names, from text."""
    data_type = TYPES[case["type"]]
    text = pa.array(values)
    if pa.types.is_binary(data_type):
        return pa.array([base64.urlsafe_b64decode(value + "==") for value in values])
    if pa.types.is_dictionary(data_type):
        return text.dictionary_encode()
    if pa.types.is_time(data_type):
        return pa.array([milliseconds(value) for value in values], pa.int32()).cast(data_type)
    return text.cast(data_type)


def milliseconds(value: str) -> int:
    hours, minutes, seconds = value.split(":")
    return round((int(hours) * 60 + int(minutes)) * 60_000 + float(seconds) * 1000)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['rule']}-{case['type']}")
def test_answers_are_the_same(engine: cipherform.Engine, case: dict[str, Any]) -> None:
    values = case["values"]
    if case["type"] == "Binary":
        values = [base64.urlsafe_b64encode(value.encode()).decode() for value in values]
    plain, expected = array(case, values), array(case, case["protected"])
    tweak = {"tweak": pa.array(case["tweaks"])} if "tweaks" in case else {}
    protected = pa.array(engine.protect(plain, case["rule"], **tweak))
    assert protected.type == plain.type
    assert protected.to_pylist() == expected.to_pylist()
    if not case["rule"].startswith(ONE_WAY):
        revealed = pa.array(engine.reveal(protected, case["rule"], **tweak))
        assert revealed.to_pylist() == plain.to_pylist()
