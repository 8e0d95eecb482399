"""FF1 and FF3_1: what goes in, what comes out, what is refused."""

from __future__ import annotations

import datetime
import threading
from typing import Any

import cipherform
import polars as pl
import pyarrow as pa
import pytest
from cipherform import FF1, FF3_1

KEY = bytes(range(32))


def test_text_and_numerals_are_the_same_numbers() -> None:
    cipher = FF1(KEY, 36)
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    secret = cipher.encrypt("hello1", b"t")
    assert secret == "".join(digits[i] for i in cipher.encrypt([digits.index(c) for c in "hello1"], b"t"))
    assert cipher.decrypt(secret, b"t") == "hello1"
    assert cipher.encrypt((1, 2, 3, 4)) == cipher.encrypt([1, 2, 3, 4])


def test_alphabets_go_by_code_point() -> None:
    cipher = FF1(KEY, 5, "aé漢😀\u0301")
    text = "😀漢é\u0301aa😀漢é"
    assert cipher.decrypt(cipher.encrypt(text)) == text
    assert len(cipher.encrypt(text)) == len(text)


@pytest.mark.parametrize("radix", [2, 3, 10, 36, 37, 255, 256, 257, 65_535, 65_536])
@pytest.mark.parametrize("length", [20, 21, 64, 65, 129, 700])
def test_any_radix_and_length(radix: int, length: int) -> None:
    cipher = FF1(KEY, radix)
    value = [(i * 7919 + radix - 1) % radix for i in range(length)]
    secret = cipher.encrypt(value, b"tweak")
    assert secret != value and len(secret) == length and max(secret) < radix
    assert cipher.decrypt(secret, b"tweak") == value


def test_largest_alphabet_as_text() -> None:
    symbols = "".join(map(chr, range(0x1_0000, 0x2_0000)))
    cipher = FF1(KEY, 65_536, symbols)
    assert cipher.decrypt(cipher.encrypt(symbols[-3:])) == symbols[-3:]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((b"", 10), "16, 24 or 32"),
        ((bytes(15), 10), "16, 24 or 32"),
        ((KEY, 1), "2 to 65,536"),
        ((KEY, -1), "2 to 65,536"),
        ((KEY, 65_537), "2 to 65,536"),
        ((KEY, 2**40), "2 to 65,536"),
        ((KEY, 10, "012345678"), "9 symbols"),
        ((KEY, 10, "0123456788"), "repeats"),
        ((KEY, 10, ""), "0 symbols"),
    ],
)
def test_what_a_cipher_refuses(refused: Any, arguments: tuple[Any, ...], text: str) -> None:
    for kind in (FF1, FF3_1):
        refused(cipherform.BadInputError, text, lambda: kind(*arguments))


@pytest.mark.parametrize("arguments", [("key", 10), (None, 10), (KEY, "10"), (KEY, 10.0), (KEY, 10, b"0123456789")])
def test_wrong_types(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        FF1(*arguments)


@pytest.mark.parametrize("value", [123456, None, b"123456", 1.5, {1: 2}, ["1", "2"], [1.0] * 6, [None] * 6])
def test_wrong_values(value: Any) -> None:
    cipher: Any = FF1(KEY, 10)
    with pytest.raises((TypeError, cipherform.BadInputError)):
        cipher.encrypt(value)
    with pytest.raises((TypeError, cipherform.BadInputError), match="row 1"):
        cipher.encrypt_batch(["123456", value])
    with pytest.raises(TypeError):
        cipher.encrypt("123456", "tweak")
    with pytest.raises(TypeError):
        cipher.encrypt("123456", None)


def test_values_that_do_not_fit(refused: Any) -> None:
    cipher, bad = FF1(KEY, 10), cipherform.BadInputError
    refused(bad, "position 3", lambda: cipher.encrypt("987X654"), "987X", "X654", "'X'")
    refused(bad, "floor of 1000000", lambda: cipher.encrypt("98765"), "98765")
    refused(bad, "too few", lambda: cipher.encrypt(""))
    refused(bad, "too few", lambda: cipher.encrypt([]))
    refused(bad, "position 1", lambda: cipher.encrypt([1, 77, 1, 1, 1, 1]), "77")
    refused(bad, "position 0", lambda: cipher.encrypt([-1, 1, 1, 1, 1, 1]), "-1")
    refused(bad, "position 0", lambda: cipher.encrypt([2**70, 1, 1, 1, 1, 1]), str(2**70))
    refused(bad, "surrogate", lambda: cipher.encrypt("\ud83d12345"), "12345")
    refused(bad, "alphabet", lambda: FF1(KEY, 37).encrypt("123456"), "123456")


def test_the_floor_can_be_lowered_to_100() -> None:
    low = FF1(KEY, 10, min_domain=100)
    assert sorted(low.encrypt_batch([f"{i:02}" for i in range(100)])) == [f"{i:02}" for i in range(100)]
    with pytest.raises(cipherform.BadInputError):
        low.encrypt("1")
    with pytest.raises(cipherform.BadInputError):
        FF1(KEY, 10, min_domain=10**9).encrypt("12345678")
    for floor in (99, 0, -1):
        with pytest.raises(cipherform.BadInputError, match="100"):
            FF1(KEY, 10, min_domain=floor)


def test_ff3_1_takes_seven_bytes(refused: Any) -> None:
    cipher = FF3_1(KEY, 10)
    assert cipher.decrypt(cipher.encrypt("123456", bytes(7)), bytes(7)) == "123456"
    refused(cipherform.BadInputError, "exactly 7", lambda: cipher.encrypt("123456"))
    refused(cipherform.BadInputError, "exactly 7", lambda: cipher.encrypt_batch(["123456"]))
    refused(cipherform.BadInputError, "exactly 7", lambda: cipher.encrypt("123456", bytes(8)))
    refused(cipherform.BadInputError, "row 1", lambda: cipher.encrypt_batch(["123456"] * 2, [bytes(7), bytes(6)]))
    assert "February 2025" in (FF3_1.__doc__ or "")


def test_batches_are_the_singles() -> None:
    cipher = FF1(KEY, 10)
    values: list[str | list[int]] = [str(10**6 + i) * (1 + i % 5) for i in range(20_000)]
    values[77] = [1, 2, 3, 4, 5, 6]
    tweaks = [str(i).encode() for i in range(20_000)]
    each = [cipher.encrypt(value, tweak) for value, tweak in zip(values, tweaks)]
    assert cipher.encrypt_batch(values, tweaks) == each
    assert cipher.decrypt_batch(each, tweaks) == values
    assert cipher.encrypt_batch(values, b"t")[19_999] == cipher.encrypt(str(10**6 + 19_999) * 5, b"t")
    assert cipher.encrypt_batch([]) == [] == cipher.encrypt_batch([], [])


def test_tweaks_of_a_batch(refused: Any) -> None:
    cipher: Any = FF1(KEY, 10)
    for tweaks in ([], [b"a"], [b"a"] * 3):
        refused(cipherform.BadInputError, "2 rows", lambda t=tweaks: cipher.encrypt_batch(["123456"] * 2, t))
        refused(cipherform.BadInputError, "2 rows", lambda t=tweaks: cipher.encrypt_batch(pa.array(["123456", None]), t))
    for wrong in ("text", 7, ["text", "text"], [b"a", None]):
        with pytest.raises(TypeError):
            cipher.encrypt_batch(["123456"] * 2, wrong)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int16(), pa.string())], ids=str
)
def test_arrow_arrays_keep_type_and_nulls(kind: pa.DataType) -> None:
    cipher = FF1(KEY, 10)
    values = ["123456", None, "1234567", "123456", None]
    tweaks = [b"a", b"", b"b", b"a", b"c"]
    array = pa.array(["x", None, *values, None]).cast(kind).slice(2, 5)
    for given in (None, b"t", tweaks):
        secret = pa.array(cipher.encrypt_batch(array, given))
        assert secret.type == kind
        live = [i for i in range(5) if values[i]]
        expected = cipher.encrypt_batch(
            [values[i] or "" for i in live], [given[i] for i in live] if isinstance(given, list) else given
        )
        assert [secret[i].as_py() for i in live] == expected
        assert secret.null_count == 2
        assert pa.array(cipher.decrypt_batch(secret, given)).to_pylist() == values


def test_arrow_shapes(refused: Any) -> None:
    cipher: Any = FF1(KEY, 10)
    column = pa.chunked_array([["123456"], [], ["654321", None]])
    secret = cipher.encrypt_batch(column, [b"a", b"b", b"c"])
    assert isinstance(secret, cipherform.ChunkedArray) and len(secret) == 3
    assert pa.chunked_array(secret).num_chunks == 3
    assert pa.chunked_array(cipher.decrypt_batch(secret, [b"a", b"b", b"c"])) == column
    series = pl.Series("digits", ["123456", None])
    assert pl.Series(cipher.decrypt_batch(pl.Series(cipher.encrypt_batch(series)))).to_list() == series.to_list()
    empty = pa.array([], pa.string())
    assert pa.array(cipher.encrypt_batch(empty)) == empty == pa.array(cipher.encrypt_batch(empty.slice(0)))
    bad = cipherform.BadInputError
    refused(bad, "row 4", lambda: cipher.encrypt_batch(pa.array([None, "123456", None, "1234567", "123"])), "123")
    late = pa.chunked_array([["123456", None], ["123456", "12x456"]])
    refused(bad, "row 3", lambda: cipher.encrypt_batch(late), "12x456")
    refused(bad, "strings", lambda: cipher.encrypt_batch(pa.array([123456])), "123456")
    refused(bad, "table", lambda: cipher.encrypt_batch(pa.table({"a": ["123456"]})), "123456")
    refused(bad, "alphabet", lambda: FF1(KEY, 37).encrypt_batch(pa.array(["123456"])))
    for wrong in ("123456", 7, datetime.date.today(), {"a"}):
        with pytest.raises(TypeError):
            cipher.encrypt_batch(wrong)


def test_no_key_is_shown() -> None:
    for cipher in (FF1(KEY, 10), FF3_1(KEY, 10)):
        for text in (repr(cipher), str(cipher)):
            assert text in ("FF1(radix=10)", "FF3_1(radix=10)")
        assert not hasattr(cipher, "__dict__")
    assert "123456" not in repr(FF1(KEY, 10).encrypt_batch(pa.array(["123456"])))


def test_other_threads_run_meanwhile() -> None:
    cipher, values = FF1(KEY, 10), pa.array([str(10**15 + i) for i in range(300_000)])
    begun, stop, turns = threading.Event(), threading.Event(), 0

    def count() -> None:
        nonlocal turns
        begun.set()
        while not stop.wait(0.001):
            turns += 1

    thread = threading.Thread(target=count)
    thread.start()
    begun.wait()
    before = turns
    cipher.encrypt_batch(values)
    after = turns
    stop.set()
    thread.join()
    assert after > before + 2
