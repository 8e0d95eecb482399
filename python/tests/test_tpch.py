"""TPC-H at scale 1 as `tpchgen-cli` writes it: every value, type, null, column and piece of metadata comes back."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from folder import Folder

DEMO_POLICY = Path(__file__).parents[2] / "tests" / "demo" / "policy.toml"
PROTECTED = {"customer": {"c_custkey", "c_name", "c_phone"}, "orders": {"o_custkey"}}
ROWS = {"customer": 150_000, "orders": 1_500_000}


@pytest.mark.parametrize("table", PROTECTED)
def test_protect_then_reveal(table: str, tmp_path: Path) -> None:
    generator = Path(sys.executable).parent / "tpchgen-cli"
    arguments = ["parquet", "--scale-factor=1", f"--tables={table}", f"--output-dir={tmp_path}"]
    subprocess.run([generator, *arguments], check=True)
    folder = Folder(tmp_path)
    folder.command("init", tmp_path)
    folder.policy.write_text(DEMO_POLICY.read_text())
    file = {name: tmp_path / f"{name}.parquet" for name in (table, "safe", "back")}
    folder.command("protect", file[table], file["safe"])
    folder.command("reveal", file["safe"], file["back"])

    plain, safe, back = (pq.read_table(path) for path in file.values())
    assert plain.num_rows == ROWS[table]
    assert back.schema.equals(plain.schema, check_metadata=True)
    assert back.equals(plain)
    assert safe.column_names == plain.column_names
    for name in plain.column_names:
        assert safe.schema.field(name).type == plain.schema.field(name).type
        assert safe[name].equals(plain[name]) == (name not in PROTECTED[table]), name
    before, after = (pq.ParquetFile(file[name]) for name in (table, "back"))
    assert after.schema.equals(before.schema)
    assert after.num_row_groups == before.num_row_groups
