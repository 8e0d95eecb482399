"""What can go wrong, by meaning. Messages never hold a value of the data or a key."""

from __future__ import annotations


class CipherformError(Exception):
    """The base of all errors of this package.

    Attributes:
        hint: What to do about it, if that is known. From Python 3.11 on tracebacks show it, too.
    """

    hint: str | None

    def __init__(self, message: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        if hint is not None and hasattr(self, "add_note"):
            self.add_note(f"hint: {hint}")


class BadInputError(CipherformError, ValueError):
    """A value, file or argument does not fit."""


class PolicyError(CipherformError):
    """The policy or keyring is wrong, or disagrees with the data."""


class NotAllowedError(CipherformError):
    """The policy or the KMS forbids it."""


class KeyNotFoundError(CipherformError):
    """There is no key of that name or version."""


class KeyNotUsableError(CipherformError):
    """The key exists, but its state or its fixed use does not allow this."""


class WrongKeyError(CipherformError):
    """A key or passphrase does not authenticate what it should."""


class ProviderDownError(CipherformError):
    """A KMS does not answer."""


class IoError(CipherformError, OSError):
    """The operating system refused a file operation."""


class InternalError(CipherformError):
    """A fault in cipherform itself."""


class LeftClearWarning(UserWarning):
    """Values that do not fit were left in the clear, because their rule says `on_invalid = "insecure-keep"`."""


class FillingUpWarning(UserWarning):
    """Most of the tokens that values of one shape may get are used up: soon no more will be minted."""
