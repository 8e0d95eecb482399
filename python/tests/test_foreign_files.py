"""Parquet files that others wrote, or changed."""

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import cipherform
from folder import Folder


@pytest.fixture
def home(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.command("init", tmp_path)
    return folder


def test_int96_timestamps_as_spark_writes_them(home: Folder) -> None:
    times = [datetime.datetime(9999, 12, 31), datetime.datetime(1, 1, 1), datetime.datetime(2026, 1, 2, 3, 4, 5), None]
    table = pa.table({"card": ["4111111111111111"] * 4, "at": pa.array(times, pa.timestamp("us"))})
    plain, safe, back = (home.path / name for name in ("t.parquet", "safe.parquet", "back.parquet"))
    pq.write_table(table, plain, use_deprecated_int96_timestamps=True, store_schema=False)
    home.policy.write_text(home.policy.read_text().replace("\n[columns]", '\n[columns]\ncard = "card"\nat = "keep"'))
    home.command("protect", plain, safe)
    home.command("reveal", safe, back)
    for path in (safe, back):
        # The column is copied as it stands; by nanoseconds, as pyarrow reads the type, year 9999 would wrap.
        assert pq.read_table(path, coerce_int96_timestamp_unit="us")["at"].to_pylist() == times
    assert pq.read_table(back)["card"].to_pylist() == table["card"].to_pylist()
    answer = home.engine().sql("SELECT at FROM t", t=safe)
    assert pa.table(answer)["at"].to_pylist() == times


def test_metadata_that_makes_tweaks_go_in_a_circle(home: Folder) -> None:
    home.policy.write_text(
        'version = 1\nkeyring = "keyring.json"\n'
        '[rules.phone]\nformat = "digits"\nkey = "pii"\ntweak = { column = "region" }\n'
        '[columns]\n"t.phone" = "phone"\n'
    )
    table = pa.table({"phone": ["5551234567"], "region": ["1234567"]})
    protected = pa.table(home.engine().protect(table, table="t"))
    phone = protected.schema.field("phone")
    circle = protected.cast(pa.schema([phone, protected.schema.field("region").with_metadata(phone.metadata)]))
    with pytest.raises(cipherform.BadInputError, match="circle"):
        home.engine().reveal(circle, table="t")
    with pytest.raises(cipherform.BadInputError, match="circle"):
        home.engine().sql("SELECT phone FROM t", t=circle)
