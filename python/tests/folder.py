"""A policy and its keys in a folder of their own, made by the built command."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import cipherform

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COMMAND = Path(os.environ.get("CIPHERFORM_BIN", TARGET / "debug" / "cipherform"))

POLICY = """\
version = 1
keyring = "keyring.json"
tokens = "sqlite:tokens.db"

[rules.card]
format = "pan"
key = "pii"
mask = { keep_last = 4 }

[rules.id]
format = { type = "integer", min = 1, max = 999_999_999 }
key = "pii"

[rules.phone]
format = { type = "digits" }
key = "pii"
tweak = { column = "region" }

[rules.lenient]
format = { type = "digits" }
key = "pii"
on_invalid = "null"

[rules.open]
format = { type = "digits" }
key = "pii"
on_invalid = "insecure-keep"

[rules.account]
treatment = "tokenize"
format = "opaque"
key = "pii"

[columns]
"people.id" = "id"
"people.phone" = "phone"
card = "card"

[roles.analyst]
card = "masked"
id = "protected"
"*" = "denied"
"""


@dataclass
class Folder:
    """A policy with its keyring, and the local KMS that a key file unlocks."""

    path: Path

    @property
    def policy(self) -> Path:
        return self.path / "policy.toml"

    @property
    def key_file(self) -> Path:
        return self.path / "key"

    @property
    def local_kms(self) -> Path:
        return self.path / "kms.json"

    def command(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs the command with these keys; it must succeed."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CIPHERFORM_")},
            "CIPHERFORM_POLICY": str(self.policy),
            "CIPHERFORM_KEY_FILE": str(self.key_file),
            "CIPHERFORM_LOCAL_KMS": str(self.local_kms),
        }
        done = subprocess.run(
            [COMMAND, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    def engine(self, **arguments: str) -> cipherform.Engine:
        return cipherform.Engine(
            self.policy, key_file=self.key_file, local_kms=self.local_kms, **arguments
        )
