"""Round trips by policy, in every shape and type, and what is refused."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import Any

import cipherform
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from folder import COMMAND, Folder

CARDS = ["4111111111111111", None, "5500005555555559", "4111111111111111"]
REGIONS = ["north", "south", "south", None]


def people() -> pa.Table:
    return pa.table(
        {
            "id": pa.array([1, 2, 999_999_999], pa.int64()),
            "card": ["4111111111111111", "5500005555555559", None],
            "phone": ["5551234567", "5551234567", "5559999999"],
            "region": ["north", "south", "south"],
            "note": ["a", None, "c"],
        }
    )


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.large_string())], ids=str
)
def test_text_columns(engine: cipherform.Engine, kind: pa.DataType) -> None:
    cards = pa.array(["x", *CARDS, None]).cast(kind).slice(1, 4)
    result = engine.protect(cards, "card")
    assert isinstance(result, cipherform.Array) and len(result) == 4
    protected = pa.array(result)
    assert protected.type == kind and protected.null_count == 1
    assert all(a.as_py() != b and a.as_py()[-4:] == b[-4:] for a, b in zip(protected, CARDS) if b)
    for back in (engine.reveal(result), engine.reveal(result, "card"), engine.reveal(protected, "card@1")):
        assert pa.array(back).cast(pa.string()).to_pylist() == CARDS


@pytest.mark.parametrize("kind", [pa.int32(), pa.int64()], ids=str)
def test_integer_columns(engine: cipherform.Engine, kind: pa.DataType) -> None:
    ids = pa.array([5, 1, None, 999_999_999], kind).slice(1)
    protected = engine.protect(ids, "id")
    assert pa.array(protected).type == kind
    assert pa.array(engine.reveal(protected)) == ids


def test_the_field_says_how(engine: cipherform.Engine) -> None:
    protected = engine.protect(pa.array(CARDS), "card")
    field = pa.field(protected)
    assert b'"rule":"card"' in field.metadata[b"cipherform"]
    revealed = engine.reveal(protected)
    assert not pa.field(revealed).metadata
    assert not pa.field(engine.encrypt(protected, "card")).metadata


def test_chunks_stay(engine: cipherform.Engine) -> None:
    column = pa.chunked_array([CARDS, [], CARDS[:1]], pa.string())
    protected = engine.protect(column, "card")
    assert isinstance(protected, cipherform.ChunkedArray)
    assert pa.chunked_array(protected).num_chunks == 3
    assert pa.chunked_array(engine.reveal(protected)) == column
    empty = pa.chunked_array([], pa.string())
    assert pa.chunked_array(engine.protect(empty, "card")) == empty


def test_tables(engine: cipherform.Engine) -> None:
    protected = engine.protect(people(), table="people")
    assert isinstance(protected, cipherform.Table) and len(protected) == 3
    table = pa.table(protected)
    for name in ("id", "card", "phone"):
        assert table[name] != people()[name]
    assert table["phone"][0] != table["phone"][1]  # its tweak is the region
    assert table["note"] == people()["note"]
    assert pa.table(engine.reveal(protected)) == people() == pa.table(engine.reveal(table))
    bare = table.replace_schema_metadata().cast(people().schema)
    assert pa.table(engine.reveal(bare, table="people", key_version=1)) == people()
    for shape in (people().to_batches()[0], people().to_reader(max_chunksize=2)):
        assert pa.table(engine.protect(shape, table="people")) == table
    assert pa.table(engine.protect(people().slice(1, 2), table="people")) == table.slice(1, 2)
    assert pa.table(engine.protect(people().slice(0, 0), table="people")).num_rows == 0


def test_tweaks(engine: cipherform.Engine, refused: Any) -> None:
    phones = pa.chunked_array([["5551234567"], ["5551234567", None]])
    regions = pa.chunked_array([["north", "south"], ["west"]])
    protected = engine.protect(phones, "phone", tweak=regions)
    assert pa.chunked_array(protected)[0] != pa.chunked_array(protected)[1]
    assert pa.chunked_array(engine.reveal(protected, tweak=regions)) == phones
    assert pa.chunked_array(engine.reveal(pa.chunked_array(protected), "phone", tweak=regions)) == phones
    for tweak in (regions, "one for all", pa.array([7, 8, 9])):
        secret = engine.encrypt(phones, "lenient", tweak=tweak)
        assert pa.chunked_array(engine.decrypt(secret, "lenient", tweak=tweak)) == phones
    bad = cipherform.BadInputError
    refused(bad, "tweak", lambda: engine.protect(phones, "phone"), "555")
    refused(bad, "tweak", lambda: engine.reveal(protected))
    refused(bad, "takes no tweak", lambda: engine.protect(phones, "lenient", tweak=regions))
    refused(bad, "2 tweaks for 3 rows", lambda: engine.protect(phones, "phone", tweak=regions[:2]))
    refused(bad, "NULL", lambda: engine.protect(pa.array(["5551234567"] * 4), "phone", tweak=pa.array(REGIONS)), "555")


def test_pandas(engine: cipherform.Engine) -> None:
    def values(series: Any) -> list[Any]:
        return [None if pd.isna(value) else value for value in series]

    frame = pd.DataFrame({"card": pd.array(CARDS, pd.ArrowDtype(pa.string())), "n": range(4)})
    back = pd.DataFrame.from_arrow(engine.reveal(engine.protect(frame, table="any")))
    assert values(back["card"]) == CARDS and back["n"].tolist() == [0, 1, 2, 3]
    for column in (frame["card"], pd.Series(CARDS, dtype="str"), pa.array(pd.Series(CARDS, dtype=object))):
        result = engine.reveal(engine.protect(column, "card"))
        assert values(pd.Series.from_arrow(result)) == CARDS


def test_polars(engine: cipherform.Engine) -> None:
    frame = pl.DataFrame({"card": CARDS, "kind": pl.Series(["a"] * 4, dtype=pl.Categorical)})
    protected = pl.DataFrame(engine.protect(frame, table="any"))
    assert protected["card"].to_list() != CARDS and protected["kind"].to_list() == ["a"] * 4
    back = pl.DataFrame(engine.reveal(protected, table="any", key_version=1))
    assert back["card"].to_list() == CARDS
    assert pl.Series(engine.reveal(engine.protect(frame["card"], "card"))).to_list() == CARDS


def test_results_are_not_copied(engine: cipherform.Engine) -> None:
    result = engine.protect(pa.array(CARDS), "card")
    first, second = pa.array(result), pa.array(result)
    assert first.buffers()[2].address == second.buffers()[2].address


def test_mask(engine: cipherform.Engine) -> None:
    for kind in (pa.string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
        masked = pa.array(engine.mask(pa.array(["4111-1111", None]).cast(kind), "card"))
        assert masked.type == kind and masked.to_pylist() == ["****-1111", None]


def test_roles(engine: cipherform.Engine, analyst: cipherform.Engine, refused: Any) -> None:
    cards, ids = engine.protect(pa.array(CARDS), "card"), engine.protect(pa.array([1]), "id")
    assert pa.array(analyst.reveal(cards))[0].as_py() == "************1111"
    refused(cipherform.NotAllowedError, "analyst", lambda: analyst.protect(pa.array(CARDS), "card"))
    refused(cipherform.NotAllowedError, "analyst", lambda: analyst.reveal(ids))
    refused(cipherform.NotAllowedError, "analyst", lambda: analyst.decrypt(pa.array(["123456"]), "lenient"))
    assert analyst.role == "analyst" and engine.role is None


def test_what_keys_are_used_for_is_written_down(folder: Folder) -> None:
    text = folder.policy.read_text()
    folder.policy.write_text('audit = "audit.jsonl"\n' + text)
    try:
        engine = folder.engine()
        protected = engine.protect(pa.array(CARDS), "card")
        engine.reveal(protected)
        engine.sql("SELECT protect(card, 'card') FROM t", t=pa.table({"card": CARDS}))
        shown = folder.command("keys", "audit", "show", "--format", "json").stdout
        uses = [entry for entry in map(json.loads, shown.splitlines()) if entry["event"] == "use"]
        assert [(use["context"], use["purpose"]) for use in uses] == [
            ("Engine.protect", "protect"),
            ("Engine.reveal", "reveal"),
            ("Engine.sql", "protect"),
        ]
        assert len({use["values"] for use in uses}) == 1 and "4111" not in shown
    finally:
        folder.policy.write_text(text)


def test_values_that_do_not_fit(engine: cipherform.Engine, refused: Any) -> None:
    column = pa.chunked_array([CARDS, ["4111111111111112"]])
    refused(cipherform.BadInputError, "row 5", lambda: engine.protect(column, "card"), "41111", "1112")
    refused(cipherform.BadInputError, "row 2", lambda: engine.protect(pa.array([1, 8_000_000_000]), "id"), "80000")
    assert pa.array(engine.protect(pa.array(["12", "123456"]), "lenient")).null_count == 1
    with pytest.warns(cipherform.LeftClearWarning, match="1 values"):
        assert pa.array(engine.protect(pa.array(["12", "123456"]), "open"))[0].as_py() == "12"


def test_wrong_uses(engine: cipherform.Engine, refused: Any) -> None:
    any_engine: Any = engine
    cards, bad = pa.array(CARDS), cipherform.BadInputError
    protected = engine.protect(cards, "card")
    refused(cipherform.PolicyError, "nothing", lambda: engine.protect(cards, "nothing"))
    refused(cipherform.PolicyError, "Int64", lambda: engine.protect(pa.array([1]), "card"))
    refused(cipherform.PolicyError, "Float64", lambda: engine.protect(pa.array([1.5]), "card"))
    refused(bad, "name@version", lambda: engine.reveal(cards, "card@0"))
    refused(bad, "needs its rule", lambda: any_engine.protect(cards))
    refused(bad, "how it was protected", lambda: engine.reveal(cards))
    refused(bad, "protected already", lambda: engine.protect(protected, "card"))
    refused(bad, "not `lenient`", lambda: engine.reveal(protected, "lenient"))
    refused(bad, "not `card@2`", lambda: engine.reveal(protected, "card@2"))
    refused(bad, "table=", lambda: any_engine.protect(people()))
    refused(bad, "table=", lambda: any_engine.protect(cards, "card", table="people"))
    refused(bad, "own rules", lambda: any_engine.protect(people(), "card", table="people"))
    refused(bad, "own rules", lambda: any_engine.encrypt(people(), "card"))
    refused(bad, "no column says", lambda: engine.reveal(people()))
    refused(cipherform.CipherformError, "card", lambda: engine.reveal(cards, "card@9"))
    for wrong in (CARDS, "4111111111111111", None, 7):
        with pytest.raises(TypeError):
            any_engine.protect(wrong, "card")


def test_opening(folder: Folder, refused: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def opens(**arguments: Any) -> cipherform.Engine:
        return cipherform.Engine(folder.policy, local_kms=folder.local_kms, **arguments)

    refused(cipherform.WrongKeyError, "a key file unlocks it", lambda: opens(passphrase="wrong horse"), "wrong horse")
    refused(cipherform.KeyNotUsableError, "passphrase", opens)
    refused(cipherform.BadInputError, "one of", lambda: opens(passphrase="a", key_file=folder.key_file))
    refused(cipherform.IoError, "cannot", lambda: opens(passphrase_file=tmp_path / "none"))
    refused(cipherform.NotAllowedError, "no role", lambda: opens(key_file=folder.key_file, role="boss"))
    refused(cipherform.IoError, "none.toml", lambda: cipherform.Engine(tmp_path / "none.toml"))
    (tmp_path / "other").write_text("00" * 32)
    refused(cipherform.WrongKeyError, "key file", lambda: opens(key_file=tmp_path / "other"), "000000")
    monkeypatch.setenv("CIPHERFORM_KEY_FILE", str(folder.key_file))
    monkeypatch.setenv("CIPHERFORM_LOCAL_KMS", str(folder.local_kms))
    assert repr(cipherform.Engine(str(folder.policy))) == f"Engine({folder.policy})"
    assert repr(folder.engine(role="analyst")) == f"Engine({folder.policy}, role=analyst)"


def test_passphrases(folder: Folder, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "phrase").write_text("correct horse\nsecond line\n")
    other = Folder(tmp_path / "other")
    subprocess.run(
        [COMMAND, "init", other.path, "--local-kms", other.local_kms, "--passphrase-file", tmp_path / "phrase"],
        check=True,
        capture_output=True,
    )
    for arguments in ({"passphrase": "correct horse"}, {"passphrase_file": tmp_path / "phrase"}):
        cipherform.Engine(other.policy, local_kms=other.local_kms, **arguments)
    monkeypatch.setenv("CIPHERFORM_PASSPHRASE", "correct horse")
    cipherform.Engine(other.policy, local_kms=other.local_kms)


def test_threads_share_an_engine(engine: cipherform.Engine) -> None:
    cards, results = pa.array(CARDS * 5000), []
    threads = [threading.Thread(target=lambda: results.append(engine.protect(cards, "card"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all(pa.array(result) == pa.array(results[0]) for result in results)
