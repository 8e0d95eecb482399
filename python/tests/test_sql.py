"""SQL over Arrow tables and Parquet files, and the command beside it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import cipherform
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from folder import Folder

PEOPLE = pa.table(
    {
        "id": pa.array(range(1, 1001), pa.int64()),
        "card": ["4111111111111111", "5500005555555559"] * 500,
        "phone": [f"555{i:07}" for i in range(1000)],
        "region": ["north", "south"] * 500,
    }
)


def test_tables_of_any_library(engine: cipherform.Engine) -> None:
    question = "SELECT count(DISTINCT card) AS n FROM t"
    for table in (PEOPLE, PEOPLE.to_pandas(), pl.from_arrow(PEOPLE), PEOPLE.to_batches()[0], PEOPLE.to_reader()):
        answer = engine.sql(question, t=table)
        assert pa.table(answer).to_pylist() == [{"n": 2}]
        assert pl.DataFrame(answer)["n"].to_list() == [2] == pd.DataFrame.from_arrow(answer)["n"].tolist()


def test_protected_tables_open_revealed(engine: cipherform.Engine, analyst: cipherform.Engine, refused: Any) -> None:
    protected = engine.protect(PEOPLE, table="people")
    question = "SELECT * FROM t ORDER BY id"
    assert pa.table(engine.sql(question, t=protected)) == PEOPLE
    seen = pa.table(analyst.sql("SELECT id, card FROM t", t=protected))
    assert seen["id"] == pa.table(protected)["id"] and seen["card"][0].as_py() == "************1111"
    refused(cipherform.NotAllowedError, "phone", lambda: analyst.sql("SELECT phone FROM t", t=protected), "5550000")
    assert pa.table(engine.sql("SELECT id FROM t WHERE id < 0", t=protected)).schema.names == ["id"]


def test_functions_equal_methods(engine: cipherform.Engine) -> None:
    answer = pa.table(
        engine.sql(
            "SELECT protect(card, 'card') AS a, fpe_encrypt(card, 'card', region) AS b, mask(card, 'card') AS c,"
            " protect(phone, 'phone', region) AS d, protect(id, 'id') AS e FROM t",
            t=PEOPLE,
        )
    )

    def flat(column: Any) -> list[Any]:
        return list(pa.chunked_array(column).to_pylist())

    assert answer["a"].to_pylist() == flat(engine.protect(PEOPLE["card"], "card"))
    assert answer["b"].to_pylist() == flat(engine.encrypt(PEOPLE["card"], "card", tweak=PEOPLE["region"]))
    assert answer["c"].to_pylist() == flat(engine.mask(PEOPLE["card"], "card"))
    assert answer["d"].to_pylist() == flat(engine.protect(PEOPLE["phone"], "phone", tweak=PEOPLE["region"]))
    assert answer["e"].to_pylist() == flat(engine.protect(PEOPLE["id"], "id"))


def test_the_command_protects_and_python_reveals(engine: cipherform.Engine, folder: Folder, tmp_path: Path) -> None:
    pq.write_table(PEOPLE, tmp_path / "people.parquet", row_group_size=300)
    folder.command("protect", tmp_path / "people.parquet", tmp_path / "safe.parquet")
    safe = pq.read_table(tmp_path / "safe.parquet")
    assert safe.select(["id", "card", "phone"]) != PEOPLE.select(["id", "card", "phone"])
    assert pa.table(engine.reveal(safe)) == PEOPLE
    assert pa.table(engine.protect(PEOPLE, table="people")) == safe
    for path in (tmp_path / "safe.parquet", str(tmp_path / "safe.parquet")):
        # DataFusion reads the text of files as string views.
        assert pa.table(engine.sql("SELECT * FROM safe ORDER BY id", safe=path)).cast(PEOPLE.schema) == PEOPLE


def test_python_protects_and_the_command_reveals(engine: cipherform.Engine, folder: Folder, tmp_path: Path) -> None:
    safe = tmp_path / "safe.parquet"
    pq.write_table(pa.table(engine.protect(PEOPLE, table="people")), safe)
    folder.command("reveal", safe, tmp_path / "back.parquet")
    assert pq.read_table(tmp_path / "back.parquet") == PEOPLE
    asked = folder.command("query", "--format", "csv", "-c", "SELECT phone FROM safe ORDER BY id LIMIT 2", safe)
    assert asked.stdout.split() == ["phone", "5550000000", "5550000001"]


def test_a_role_makes_no_tables(engine: cipherform.Engine, analyst: cipherform.Engine, refused: Any) -> None:
    refused(cipherform.BadInputError, "", lambda: analyst.sql("CREATE TABLE mine AS SELECT 1"))
    for any_role in (engine, analyst):
        refused(cipherform.BadInputError, "", lambda e=any_role: e.sql("SET datafusion.execution.batch_size = 1"))


def test_what_is_refused(engine: cipherform.Engine, refused: Any, tmp_path: Path) -> None:
    bad, target = cipherform.BadInputError, tmp_path / "out.parquet"
    for statement in (f"COPY t TO '{target}'", "INSERT INTO t SELECT * FROM t", "SELECT nothing FROM t", "SELEKT", ""):
        refused(bad, "", lambda s=statement: engine.sql(s, t=PEOPLE))
    assert not target.exists()
    refused(bad, "one column", lambda: engine.sql("SELECT 1", t=PEOPLE["card"]))
    refused(cipherform.IoError, "none", lambda: engine.sql("SELECT 1", t=tmp_path / "none.parquet"))
    with pytest.raises(TypeError):
        engine.sql("SELECT 1", t=[1])  # type: ignore[arg-type]


def test_a_forked_child_has_threads_of_its_own(engine: cipherform.Engine) -> None:
    engine.sql("SELECT 1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that forking with threads is a risk is the point
        child = os.fork()
    if child == 0:
        answer = engine.sql("SELECT count(*) FROM t GROUP BY region", t=PEOPLE)
        os._exit(0 if len(answer) == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
