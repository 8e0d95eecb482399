"""Files that the command makes, as other readers see them: what no rule is for is what it was."""

from __future__ import annotations

import datetime
import json
import os
import random
import subprocess
from pathlib import Path

import cipherform
import duckdb
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from folder import COMMAND, Folder

POLICY = """\
version = 1
keyring = "keyring.json"

[rules.text]
treatment = "siv"
format = "text"
key = "pii"

[rules.ssn]
format = "us-ssn"
key = "pii"

[rules.time]
format = "timestamp"
key = "pii"

[rules.phone]
format = "digits"
key = "pii"
on_short = "band"
on_invalid = "siv"

[rules.number]
format = { type = "integer", min = 0, max = 2_147_483_647 }
key = "pii"

[columns]
"*" = "keep"
"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    folder = Folder(tmp_path_factory.mktemp("files"))
    folder.command("init", folder.path)
    return folder


class Files:
    """A folder with a policy that says which column gets which rule."""

    def __init__(self, keys: Folder, path: Path) -> None:
        self.keys, self.path = keys, path

    def run(self, *arguments: str | Path, **columns: str) -> subprocess.CompletedProcess[str]:
        lines = "".join(f"{json.dumps(name)} = {json.dumps(rule)}\n" for name, rule in columns.items())
        # Beside the keyring, so that the policy finds it.
        policy = self.keys.path / "files.toml"
        policy.write_text(POLICY + lines)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CIPHERFORM_")},
            "CIPHERFORM_POLICY": str(policy),
            "CIPHERFORM_KEY_FILE": str(self.keys.key_file),
            "CIPHERFORM_LOCAL_KMS": str(self.keys.local_kms),
        }
        return subprocess.run(
            [COMMAND, *arguments], env=environment, cwd=self.path, capture_output=True, text=True, check=False
        )

    def there_and_back(self, name: str, **columns: str) -> tuple[Path, Path]:
        source = self.path / name
        safe, back = self.path / f"safe-{name}", self.path / f"back-{name}"
        for verb, one, two in [("protect", source, safe), ("reveal", safe, back)]:
            done = self.run(verb, one, two, **columns)
            assert done.returncode == 0, f"{name}: {done.stderr}"
        return safe, back

    def refused(self, name: str, **columns: str) -> str:
        done = self.run("protect", self.path / name, self.path / "never.parquet", **columns)
        assert done.returncode == 1, f"{name}: {done.returncode} {done.stdout} {done.stderr}"
        assert not (self.path / "never.parquet").exists()
        return done.stderr


@pytest.fixture
def files(keys: Folder, tmp_path: Path) -> Files:
    return Files(keys, tmp_path)


def leaves(path: Path) -> list[tuple[str, ...]]:
    """What each leaf says of itself, but for what stands in it."""
    schema = pq.read_metadata(path).schema
    columns = [schema.column(at) for at in range(len(schema.names))]
    return [
        (
            column.path,
            column.physical_type,
            str(column.logical_type),
            str(column.converted_type),
            str((column.max_definition_level, column.max_repetition_level, column.length, column.scale)),
        )
        for column in columns
    ]


def chunk(path: Path, group: int, column: int) -> dict[str, object]:
    """The description of a column in a row group, without its place in the file."""
    known = pq.read_metadata(path).row_group(group).column(column).to_dict()
    places = [
        "file_offset",
        "data_page_offset",
        "dictionary_page_offset",
        "has_dictionary_page",
        "bloom_filter_offset",
    ]
    return {name: value for name, value in known.items() if name not in places}


def rows(path: Path, what: str = "*") -> list[tuple[object, ...]]:
    return duckdb.sql(f"SELECT {what} FROM '{path}'").fetchall()


def test_marks_stay(files: Files) -> None:
    duckdb.sql(
        f"""COPY (SELECT 'a' AS k, uuid() AS u, '{{"b": 1}}'::JSON AS j, '12:00:00+00'::TIMETZ AS t,
        'x'::ENUM('x', 'y') AS e, INTERVAL '1 year 1 month 2 days 3 seconds' AS i, 1::UTINYINT AS n,
        '12.5'::DECIMAL(5, 2) AS d, [1, NULL] AS l, {{'p': 1, 'q': ['r']}} AS s, MAP {{'x': 1}} AS m,
        '2020-01-01 00:00:00'::TIMESTAMP_NS AS ns, 3::HUGEINT AS h)
        TO '{files.path / "marks.parquet"}' (FORMAT parquet)"""
    )
    safe, back = files.there_and_back("marks.parquet", k="text")
    assert leaves(safe) == leaves(back) == leaves(files.path / "marks.parquet")
    assert rows(back) == rows(files.path / "marks.parquet")
    assert rows(safe, "* EXCLUDE (k)") == rows(files.path / "marks.parquet", "* EXCLUDE (k)")
    assert rows(safe, "k") != [("a",)]


def test_pages_are_copied(files: Files) -> None:
    numbers = list(range(20_000))
    table = pa.table(
        {
            "k": [f"k{n}" for n in numbers],
            "n": pa.array(numbers, pa.int64()),
            "t": [f"text {n % 7}" for n in numbers],
            "l": [[n, n + 1] for n in numbers],
        }
    )
    pq.write_table(
        table,
        files.path / "pages.parquet",
        row_group_size=6_000,
        compression={"k": "zstd", "n": "snappy", "t": "gzip", "l.list.element": "brotli"},
        data_page_version="2.0",
        write_page_index=True,
        write_page_checksum=True,
        bloom_filter_options={"t": {"ndv": 10}},
        sorting_columns=[pq.SortingColumn(1)],
    )
    safe, back = files.there_and_back("pages.parquet", k="text")
    source = files.path / "pages.parquet"
    assert pq.read_table(back).equals(table)
    assert pq.read_metadata(safe).num_row_groups == pq.read_metadata(source).num_row_groups == 4
    for group in range(4):
        for column in (1, 2, 3):
            assert chunk(safe, group, column) == chunk(source, group, column)
        assert chunk(safe, group, 0)["compression"] == "ZSTD"
    # Checksums of copied pages are right, too.
    read = pq.ParquetFile(safe, page_checksum_verification=True).read(columns=["n", "t", "l"])
    assert read.equals(table.select(["n", "t", "l"]))
    assert pq.read_metadata(safe).created_by == pq.read_metadata(source).created_by
    # The raw bytes hold no value.
    raw = safe.read_bytes()
    assert b"k19999" not in raw


def test_old_timestamps_keep_their_nanoseconds(files: Files) -> None:
    def write(name: str, table: pa.Table) -> None:
        pq.write_table(
            table, files.path / name, use_deprecated_int96_timestamps=True, store_schema=False
        )

    nanoseconds = [1, 999, 1_700_000_000_123_456_789, -1, -1_000_000_001, None]
    plain = pa.table({"k": ["a"] * 6, "t": pa.array(nanoseconds, pa.timestamp("ns"))})
    write("copied.parquet", plain)
    safe, back = files.there_and_back("copied.parquet", k="text")
    assert leaves(back) == leaves(files.path / "copied.parquet")
    assert pq.read_table(safe)["t"].cast(pa.int64()).to_pylist() == nanoseconds
    # Under a rule INT96 is not written any more: an instant in nanoseconds.
    done = files.run("protect", "copied.parquet", "shifted.parquet", t="number")
    assert done.returncode == 1
    # Year 9999 needs microseconds.
    far = [datetime.datetime(9999, 12, 31), datetime.datetime(1970, 1, 1)]
    nested = pa.table(
        {
            "k": ["a", "b"],
            "l": pa.array([[moment] for moment in far], pa.list_(pa.timestamp("us"))),
            "s": pa.array([{"until": moment} for moment in far], pa.struct([("until", pa.timestamp("us"))])),
        }
    )
    write("nested.parquet", nested)
    safe, back = files.there_and_back("nested.parquet", k="text")
    for path in (safe, back):
        assert leaves(path) == leaves(files.path / "nested.parquet")
        read = pq.ParquetFile(path, coerce_int96_timestamp_unit="us").read()
        assert read.drop(["k"]).equals(nested.drop(["k"]))


def test_what_contradicts_itself_is_refused(files: Files) -> None:
    path = files.path / "rows.parquet"
    pq.write_table(
        pa.table({"k": ["a", "b", "c"]}), path, store_schema=False, compression="none", write_statistics=False
    )
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    footer = content[-8 - length : -8]
    at = footer.index(b"\x16\x06\x19\x1c")
    path.write_bytes(
        content[: -8 - length] + footer[:at] + b"\x16\x00" + footer[at + 2 :] + content[-8:]
    )
    assert "its footer names 0 rows, and its row groups have 3" in files.refused("rows.parquet", k="text")


@pytest.mark.parametrize("protected", ["k", "n"])
def test_checksums_are_compared(files: Files, protected: str) -> None:
    path = files.path / "checksum.parquet"
    pq.write_table(
        pa.table({"k": ["a"] * 3, "n": pa.array([1, 2, 3], pa.int32())}),
        path,
        write_page_checksum=True,
        compression="none",
        use_dictionary=False,
    )
    content = bytearray(path.read_bytes())
    content[content.index(b"\1\0\0\0\2\0\0\0\3\0\0\0")] = 9
    path.write_bytes(content)
    said = files.refused("checksum.parquet", **{protected: "text" if protected == "k" else "number"})
    assert "row group 0, column `n`" in said
    assert "checksum" in said


def test_the_footer_holds_no_value(files: Files) -> None:
    table = pa.table({"ssn": ["123-45-6789", "862-45-3891"], "n": [1, 2]})
    with pq.ParquetWriter(files.path / "footer.parquet", table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"hoodie_min_record_key": "123-45-6789", "note": "of May"})
    done = files.run("protect", "footer.parquet", "safe.parquet", ssn="ssn")
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "hoodie_min_record_key" in said and "`note`" in said
    raw = (files.path / "safe.parquet").read_bytes()
    assert b"123-45-6789" not in raw and b"of May" in raw


def test_misfits_within_nested_columns_and_in_python(files: Files) -> None:
    values = ["n/a", "5550100123", "~1", "12", None, ""]
    table = pa.table({"s": [{"phone": value} for value in values], "l": [[value, "n/a"] for value in values]})
    pq.write_table(table, files.path / "nested.parquet")
    safe, back = files.there_and_back("nested.parquet", **{"s.phone": "phone", "l[]": "phone"})
    assert pq.read_table(back).equals(table)
    protected = [row["phone"] for row in pq.read_table(safe)["s"].to_pylist()]
    assert [row[1] for row in pq.read_table(safe)["l"].to_pylist()] == [protected[0]] * len(values)
    engine = cipherform.Engine(
        files.keys.path / "files.toml", key_file=files.keys.key_file, local_kms=files.keys.local_kms
    )
    assert pa.array(engine.encrypt(pa.array(values), "phone")).to_pylist() == protected
    assert pa.array(engine.decrypt(pa.array(protected), "phone")).to_pylist() == values


def test_pandas_reads_what_is_left(files: Files) -> None:
    frame = pandas.DataFrame({"ssn": ["862-45-3891"], "k": ["a"], "n": [1]}).set_index("ssn")
    frame.attrs["note"] = "extract for 862-45-3891"
    frame.to_parquet(files.path / "pandas.parquet")
    safe, back = files.there_and_back("pandas.parquet", ssn="ssn")
    assert b"862-45-3891" not in safe.read_bytes()
    assert pandas.read_parquet(back).equals(frame)
    done = files.run("protect", "pandas.parquet", "dropped.parquet", ssn="drop", k="text")
    assert done.returncode == 0, done.stderr
    assert pandas.read_parquet(files.path / "dropped.parquet", columns=["n"])["n"].to_list() == [1]


def test_dictionaries_of_many_batches(files: Files) -> None:
    def coded(first: int) -> pa.DictionaryArray:
        values = [f"{n:016d}" for n in range(first, first + 100)]
        return pa.DictionaryArray.from_arrays(pa.array(range(100), pa.int8()), pa.array(values))

    table = pa.table(
        {"id": pa.array(range(200), pa.int32()), "d": pa.chunked_array([coded(0), coded(100)])}
    )
    pq.write_table(table, files.path / "dictionary.parquet")
    for columns in ({"d": "text"}, {"id": "number"}):
        safe, back = files.there_and_back("dictionary.parquet", **columns)
        assert rows(back) == rows(files.path / "dictionary.parquet")
        assert len(set(rows(safe, "d"))) == 200
        safe.unlink()
        back.unlink()


def test_long_texts(files: Files) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 8192, pa.int32()), pa.array(["x" * 300_000]))
    pq.write_table(
        pa.table({"id": pa.array(range(8192), pa.int32()), "d": text}),
        files.path / "long.parquet",
        store_schema=False,
        compression="zstd",
    )
    safe, _ = files.there_and_back("long.parquet", id="number")
    assert rows(safe, "count(DISTINCT d), min(length(d))") == [(1, 300_000)]


def test_bytes_that_are_no_text_are_copied(files: Files) -> None:
    bytes_in_latin = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xfc"))
    pq.write_table(pa.table({"id": pa.array([1], pa.int32()), "s": bytes_in_latin}), files.path / "latin.parquet")
    safe, _ = files.there_and_back("latin.parquet", id="number")
    assert pq.read_table(safe)["s"].cast(pa.binary()).to_pylist() == [b"\xfc"]
    said = files.refused("latin.parquet", s="text")
    assert "column `s`" in said


def test_fields_within_structs_alone(files: Files) -> None:
    table = pa.table(
        {
            "p": pa.array(
                [{"ssn": "123-45-6789", "n": 1, "in": {"x": [1, 2], "k": "a"}}, None],
                pa.struct(
                    [
                        ("ssn", pa.string()),
                        ("n", pa.int8()),
                        ("in", pa.struct([("x", pa.list_(pa.int32())), ("k", pa.string())])),
                    ]
                ),
            ),
            "many": pa.array([[{"k": "b", "n": 1}], []], pa.list_(pa.struct([("k", pa.string()), ("n", pa.int64())]))),
        }
    )
    pq.write_table(table, files.path / "nested.parquet")
    safe, back = files.there_and_back("nested.parquet", **{"p.ssn": "ssn", "many[].k": "text"})
    assert pq.read_table(back).equals(table)
    read = pq.read_table(safe)
    assert read["p"].to_pylist()[0]["in"] == {"x": [1, 2], "k": "a"}
    assert read["p"].to_pylist()[0]["ssn"] != "123-45-6789" and read["p"].to_pylist()[1] is None
    assert read["many"].to_pylist()[0][0]["n"] == 1 and read["many"].to_pylist()[0][0]["k"] != "b"
    for column in range(1, 4):
        assert chunk(safe, 0, column) == chunk(files.path / "nested.parquet", 0, column)


def test_damaged_files(files: Files) -> None:
    """Cut short or with a changed byte: an error with a reason, or a file that other readers read alike."""
    path = files.path / "whole.parquet"
    table = pa.table({"k": [f"k{n}" for n in range(300)], "n": list(range(300)), "l": [[n] for n in range(300)]})
    pq.write_table(table, path, compression="snappy", row_group_size=100, write_page_checksum=True)
    whole = path.read_bytes()
    chance = random.Random(7)
    for attempt in range(60):
        content = bytearray(whole)
        if attempt % 3 == 0:
            del content[chance.randrange(len(content)) :]
        else:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        (files.path / "damaged.parquet").write_bytes(content)
        target = files.path / f"target-{attempt}.parquet"
        done = files.run("protect", "damaged.parquet", target, k="text")
        assert done.returncode in (0, 1), f"{attempt}: {done.returncode} {done.stderr}"
        assert "panicked" not in done.stderr, done.stderr
        assert target.exists() == (done.returncode == 0)
    assert not [name for name in os.listdir(files.path) if name.endswith(".tmp")]


def test_source_and_target_are_two_files(files: Files) -> None:
    pq.write_table(pa.table({"k": ["a"]}), files.path / "one.parquet")
    done = files.run("protect", "one.parquet", "./one.parquet", "--force", k="text")
    assert done.returncode == 1 and "is source and target" in done.stderr
    assert rows(files.path / "one.parquet") == [("a",)]
