"""Tokens: over Arrow columns and tables, in SQL, in files, and in the SQLite store that the command shares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cipherform
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from folder import Folder

POLICY = """\
version = 1
keyring = "keyring.json"
tokens = "sqlite:tokens.db"

[rules.account]
treatment = "tokenize"
format = "opaque"
key = "pii"

[rules.card]
treatment = "tokenize"
format = { type = "pan", check_digit = "invalid" }
key = "pii"
on_forgotten = "keep"

[rules.number]
treatment = "tokenize"
format = { type = "integer", min = 1, max = 100_000 }
insecure_small_domain = "a test"
key = "pii"
on_forgotten = "error"

[rules.visit]
treatment = "tokenize"
format = "digits"
per_occurrence = true
key = "pii"

[rules.encrypted]
format = "pan"
key = "pii"

[columns]
"*.account" = "account"
"*.card" = "card"
"*.number" = "number"

[roles.clerk]
account = "protected"
"*" = "denied"
"""

ACCOUNTS = pa.array(["ann", None, "bob", "ann"])
CARDS = pa.array(["4111-1111-1111-1111", "5500000000000004", None, "4111-1111-1111-1111"])
NUMBERS = pa.array([1, 2, 100_000, 1], pa.int32())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """One for each test: what one forgets, the next would miss."""
    folder = Folder(tmp_path)
    folder.command("init", folder.path)
    folder.policy.write_text(POLICY)
    return folder


@pytest.fixture
def engine(folder: Folder) -> cipherform.Engine:
    return folder.engine()


def visits() -> pa.Table:
    return pa.table({"account": ACCOUNTS, "card": CARDS, "number": NUMBERS, "note": ["a", "b", None, "d"]})


def stats(folder: Folder, rule: str) -> Any:
    lines = folder.command("tokens", "stats", "--format", "json").stdout.splitlines()
    return next(row for row in map(json.loads, lines) if row["rule"] == rule)


def luhn(digits: str) -> int:
    doubled = [sum(divmod(int(digit) * (1 + at % 2), 10)) for at, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10


def test_one_value_has_one_token(engine: cipherform.Engine, folder: Folder) -> None:
    tokens = pa.array(engine.tokenize(ACCOUNTS, "account"))
    assert tokens[0] == tokens[3] != tokens[2] and tokens[0].as_py().startswith("tok_") and tokens[1].as_py() is None
    assert pa.array(engine.detokenize(tokens, "account")) == ACCOUNTS
    # Another engine over the same store, and every shape of a column.
    other = folder.engine()
    assert pa.array(other.tokenize(ACCOUNTS, "account")) == tokens
    chunks = pa.chunked_array([ACCOUNTS, ACCOUNTS.slice(2)])
    assert pa.chunked_array(other.tokenize(chunks, "account")).chunk(1) == tokens.slice(2)
    for kind in (pa.large_utf8(), pa.string_view(), pa.dictionary(pa.int8(), pa.utf8())):
        made = pa.array(other.tokenize(ACCOUNTS.cast(kind), "account"))
        assert made.type == kind and made.to_pylist() == tokens.to_pylist()
        assert pa.array(other.detokenize(made, "account")).to_pylist() == ACCOUNTS.to_pylist()
    assert pa.array(engine.tokenize(pa.array([], pa.utf8()), "account")) == pa.array([], pa.utf8())
    assert stats(folder, "account")["tokens"] == 2


def test_tokens_look_like_their_values(engine: cipherform.Engine) -> None:
    cards = pa.array(engine.tokenize(CARDS, "card"))
    assert cards[0] == cards[3] and cards[2].as_py() is None
    for token, card in zip(cards.to_pylist(), CARDS.to_pylist(), strict=True):
        if token is not None:
            assert token != card and [c == "-" for c in token] == [c == "-" for c in card]
            assert luhn(token.replace("-", "")) != 0
    numbers = pa.array(engine.tokenize(NUMBERS, "number"))
    assert numbers.type == pa.int32() and all(1 <= number <= 100_000 for number in numbers.to_pylist())
    assert pa.array(engine.detokenize(numbers, "number")) == NUMBERS


def test_a_warning_comes_before_tokens_run_out(folder: Folder) -> None:
    folder.policy.write_text(POLICY.replace("max = 100_000", "max = 1_000"))
    numbers = pa.array(range(1, 451), pa.int32())
    with pytest.warns(cipherform.FillingUpWarning, match="domain `number`: .*90 %"):
        folder.engine().tokenize(numbers, "number")
    with pytest.warns(cipherform.FillingUpWarning):
        folder.engine().sql("SELECT tokenize(n + 450, 'number') AS t FROM more", more=pa.table({"n": numbers.slice(0, 10)}))


def test_each_occurrence_can_have_its_own(engine: cipherform.Engine, folder: Folder) -> None:
    values = pa.array(["12345678"] * 50)
    first, second = (pa.array(engine.tokenize(values, "visit")) for _ in range(2))
    assert len({*first.to_pylist(), *second.to_pylist()}) == 100 == stats(folder, "visit")["tokens"]
    assert pa.array(engine.detokenize(second, "visit")) == values


def test_protect_and_reveal_go_by_the_rule(engine: cipherform.Engine, folder: Folder) -> None:
    tokens = pa.array(engine.tokenize(ACCOUNTS, "account"))
    protected = engine.protect(pa.chunked_array([ACCOUNTS, ACCOUNTS]), "account")
    assert pa.chunked_array(protected).chunk(1) == tokens
    assert pa.chunked_array(engine.reveal(protected)).chunk(0) == ACCOUNTS

    plain = visits()
    safe = pa.table(engine.protect(plain, table="visits"))
    assert safe["account"].combine_chunks() == tokens and safe["note"] == plain["note"]
    assert safe["card"] != plain["card"] and safe.schema.types == plain.schema.types
    assert pa.table(folder.engine().reveal(safe)) == plain
    # Whoever sees the column protected makes no token and opens none.
    clerk = folder.engine(role="clerk")
    assert pa.table(clerk.sql("SELECT account FROM t", t=safe))["account"].combine_chunks() == tokens
    for refused in (clerk.tokenize, clerk.detokenize, clerk.protect):
        with pytest.raises(cipherform.NotAllowedError):
            refused(tokens, "account")


def test_sql_and_the_command_share_the_store(engine: cipherform.Engine, folder: Folder) -> None:
    tokens = pa.array(engine.tokenize(ACCOUNTS, "account"))
    answer = engine.sql("SELECT tokenize(account, 'account') AS t FROM visits", visits=visits())
    assert pa.table(answer)["t"].to_pylist() == tokens.to_pylist()
    answer = engine.sql("SELECT detokenize(t, 'account') AS a FROM x", x=pa.table({"t": tokens}))
    assert pa.table(answer)["a"].to_pylist() == ACCOUNTS.to_pylist()

    pq.write_table(visits(), folder.path / "visits.parquet")
    folder.command("protect", folder.path / "visits.parquet", folder.path / "safe.parquet")
    safe = pq.read_table(folder.path / "safe.parquet")
    assert safe["account"].to_pylist() == tokens.to_pylist()
    assert pa.table(engine.reveal(safe)) == visits()
    opened = engine.sql("SELECT account, card FROM safe", safe=folder.path / "safe.parquet")
    assert pa.table(opened)["card"].to_pylist() == CARDS.to_pylist()


def test_what_is_deleted_is_forgotten(engine: cipherform.Engine, folder: Folder) -> None:
    safe = pa.table(engine.protect(visits(), table="visits"))

    def forget(rule: str, token: object) -> None:
        folder.command("tokens", "delete", rule, str(token), "--yes", "--reason", "a test")

    forget("account", safe["account"][2])
    forget("card", safe["card"][1])
    assert (stats(folder, "account")["tokens"], stats(folder, "account")["forgotten"]) == (1, 1)
    # By default there is nothing any more; a rule may keep the token, or make it an error.
    back = pa.table(engine.reveal(safe))
    assert back["account"].to_pylist() == ["ann", None, None, "ann"]
    assert back["card"].to_pylist()[1] == safe["card"][1].as_py() != CARDS[1].as_py()
    forget("number", safe["number"][2])
    with pytest.raises(cipherform.BadInputError, match="row 3"):
        engine.detokenize(safe["number"], "number")
    # The same value gets another token; the old one stays empty.
    again = pa.array(engine.tokenize(ACCOUNTS, "account"))
    assert again[0] == safe["account"][0] and again[2] != safe["account"][2]
    assert pa.array(engine.detokenize(again, "account")) == ACCOUNTS


def test_what_is_refused(engine: cipherform.Engine, folder: Folder, refused: Any) -> None:
    bad, policy = cipherform.BadInputError, cipherform.PolicyError
    engine.tokenize(ACCOUNTS, "account")
    refused(bad, "row 1", lambda: engine.detokenize(pa.array(["tok_unknown"]), "account"), "tok_unknown")
    refused(bad, "row 2", lambda: engine.tokenize(pa.array([None, "4111111111111112"]), "card"), "4111111111111112")
    refused(policy, "does not tokenize", lambda: engine.tokenize(CARDS, "encrypted"))
    refused(policy, "does not tokenize", lambda: engine.detokenize(CARDS, "encrypted"))
    refused(policy, "tokenizes", lambda: engine.encrypt(ACCOUNTS, "account"))
    refused(policy, "nothing", lambda: engine.tokenize(ACCOUNTS, "nothing"))
    assert stats(folder, "card")["tokens"] == 0


def test_no_value_is_in_the_store(engine: cipherform.Engine, folder: Folder) -> None:
    engine.tokenize(pa.array([f"plaintext of person {n}" for n in range(2_000)]), "account")
    files = [path.read_bytes() for path in folder.path.glob("tokens.db*")]
    assert any(b"tok_" in content for content in files)
    assert not any(b"plaintext of person" in content for content in files)


def test_a_store_that_is_not_there(folder: Folder, refused: Any) -> None:
    folder.policy.write_text(POLICY.replace("sqlite:tokens.db", "sqlite:no/such/folder/tokens.db"))
    refused(cipherform.IoError, "token store", lambda: folder.engine().tokenize(ACCOUNTS, "account"), "bob")
    folder.policy.write_text(POLICY)
    safe = folder.engine().protect(visits(), table="visits")
    folder.policy.write_text(POLICY.replace("sqlite:tokens.db", "sqlite:other.db"))
    # Who only reveals does not make it.
    refused(cipherform.BadInputError, "there is no token store", lambda: folder.engine().reveal(safe), "bob")
    assert not (folder.path / "other.db").exists()
    # A store of another policy knows nothing of these tokens.
    folder.engine().tokenize(ACCOUNTS, "account")
    refused(cipherform.CipherformError, "another store", lambda: folder.engine().reveal(safe), "bob")
