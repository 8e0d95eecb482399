import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, final, overload, type_check_only

__all__ = [
    "Array",
    "ChunkedArray",
    "Engine",
    "FF1",
    "FF3_1",
    "Table",
    "__version__",
]

__version__: str

@type_check_only
class _ArrowArray(Protocol):
    """An Arrow array or record batch of any library."""

    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...

@type_check_only
class _ArrowStream(Protocol):
    """An Arrow chunked array, table or stream of any library."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

_Path = str | os.PathLike[str]

@final
class Array:
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_array__(
        self, requested_schema: object | None = None
    ) -> tuple[object, object]: ...
    def __len__(self) -> int: ...

@final
class ChunkedArray:
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __len__(self) -> int: ...

@final
class Table:
    def __arrow_c_schema__(self) -> object: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __len__(self) -> int: ...

@final
class FF1:
    def __new__(
        cls,
        key: bytes,
        radix: int,
        alphabet: str | None = None,
        *,
        min_domain: int = 1_000_000,
    ) -> FF1: ...
    @overload
    def encrypt(self, value: str, tweak: bytes = b"") -> str: ...
    @overload
    def encrypt(self, value: Sequence[int], tweak: bytes = b"") -> list[int]: ...
    @overload
    def decrypt(self, value: str, tweak: bytes = b"") -> str: ...
    @overload
    def decrypt(self, value: Sequence[int], tweak: bytes = b"") -> list[int]: ...
    @overload
    def encrypt_batch(
        self, values: list[str], tweaks: bytes | Sequence[bytes] | None = None
    ) -> list[str]: ...
    @overload
    def encrypt_batch(
        self,
        values: list[list[int]],
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> list[list[int]]: ...
    @overload
    def encrypt_batch(
        self,
        values: Sequence[str | Sequence[int]],
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> list[str | list[int]]: ...
    @overload
    def encrypt_batch(
        self,
        values: _ArrowArray,
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> Array: ...
    @overload
    def encrypt_batch(
        self,
        values: _ArrowStream,
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> ChunkedArray: ...
    @overload
    def decrypt_batch(
        self, values: list[str], tweaks: bytes | Sequence[bytes] | None = None
    ) -> list[str]: ...
    @overload
    def decrypt_batch(
        self,
        values: list[list[int]],
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> list[list[int]]: ...
    @overload
    def decrypt_batch(
        self,
        values: Sequence[str | Sequence[int]],
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> list[str | list[int]]: ...
    @overload
    def decrypt_batch(
        self,
        values: _ArrowArray,
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> Array: ...
    @overload
    def decrypt_batch(
        self,
        values: _ArrowStream,
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> ChunkedArray: ...

@final
class FF3_1:
    def __new__(
        cls,
        key: bytes,
        radix: int,
        alphabet: str | None = None,
        *,
        min_domain: int = 1_000_000,
    ) -> FF3_1: ...
    @overload
    def encrypt(self, value: str, tweak: bytes = b"") -> str: ...
    @overload
    def encrypt(self, value: Sequence[int], tweak: bytes = b"") -> list[int]: ...
    @overload
    def decrypt(self, value: str, tweak: bytes = b"") -> str: ...
    @overload
    def decrypt(self, value: Sequence[int], tweak: bytes = b"") -> list[int]: ...
    @overload
    def encrypt_batch(
        self, values: list[str], tweaks: bytes | Sequence[bytes] | None = None
    ) -> list[str]: ...
    @overload
    def encrypt_batch(
        self,
        values: list[list[int]],
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> list[list[int]]: ...
    @overload
    def encrypt_batch(
        self,
        values: Sequence[str | Sequence[int]],
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> list[str | list[int]]: ...
    @overload
    def encrypt_batch(
        self,
        values: _ArrowArray,
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> Array: ...
    @overload
    def encrypt_batch(
        self,
        values: _ArrowStream,
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> ChunkedArray: ...
    @overload
    def decrypt_batch(
        self, values: list[str], tweaks: bytes | Sequence[bytes] | None = None
    ) -> list[str]: ...
    @overload
    def decrypt_batch(
        self,
        values: list[list[int]],
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> list[list[int]]: ...
    @overload
    def decrypt_batch(
        self,
        values: Sequence[str | Sequence[int]],
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> list[str | list[int]]: ...
    @overload
    def decrypt_batch(
        self,
        values: _ArrowArray,
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> Array: ...
    @overload
    def decrypt_batch(
        self,
        values: _ArrowStream,
        tweaks: bytes | Sequence[bytes] | None = None,
    ) -> ChunkedArray: ...

@final
class Engine:
    def __new__(
        cls,
        policy_path: _Path,
        *,
        passphrase: str | None = None,
        passphrase_file: _Path | None = None,
        key_file: _Path | None = None,
        local_kms: _Path | None = None,
        role: str | None = None,
        trust: str | None = None,
    ) -> Engine: ...
    @property
    def policy_path(self) -> Path: ...
    @property
    def role(self) -> str | None: ...
    @overload
    def protect(
        self,
        data: _ArrowArray,
        rule: str,
        *,
        table: None = None,
        tweak: _ArrowArray | _ArrowStream | str | None = None,
    ) -> Array: ...
    @overload
    def protect(
        self,
        data: _ArrowStream,
        rule: str,
        *,
        table: None = None,
        tweak: _ArrowArray | _ArrowStream | str | None = None,
    ) -> ChunkedArray: ...
    @overload
    def protect(
        self,
        data: _ArrowArray | _ArrowStream,
        rule: None = None,
        *,
        table: str,
        tweak: None = None,
    ) -> Table: ...
    def reveal(
        self,
        data: _ArrowArray | _ArrowStream,
        rule: str | None = None,
        *,
        table: str | None = None,
        key_version: int | None = None,
        tweak: _ArrowArray | _ArrowStream | str | None = None,
    ) -> Array | ChunkedArray | Table: ...
    @overload
    def encrypt(
        self,
        array: _ArrowArray,
        rule: str,
        tweak: _ArrowArray | _ArrowStream | str | None = None,
    ) -> Array: ...
    @overload
    def encrypt(
        self,
        array: _ArrowStream,
        rule: str,
        tweak: _ArrowArray | _ArrowStream | str | None = None,
    ) -> ChunkedArray: ...
    @overload
    def decrypt(
        self,
        array: _ArrowArray,
        rule: str,
        tweak: _ArrowArray | _ArrowStream | str | None = None,
    ) -> Array: ...
    @overload
    def decrypt(
        self,
        array: _ArrowStream,
        rule: str,
        tweak: _ArrowArray | _ArrowStream | str | None = None,
    ) -> ChunkedArray: ...
    @overload
    def tokenize(self, array: _ArrowArray, rule: str) -> Array: ...
    @overload
    def tokenize(self, array: _ArrowStream, rule: str) -> ChunkedArray: ...
    @overload
    def detokenize(self, array: _ArrowArray, rule: str) -> Array: ...
    @overload
    def detokenize(self, array: _ArrowStream, rule: str) -> ChunkedArray: ...
    @overload
    def mask(self, array: _ArrowArray, rule: str) -> Array: ...
    @overload
    def mask(self, array: _ArrowStream, rule: str) -> ChunkedArray: ...
    def sql(
        self, query: str, /, **tables: _ArrowArray | _ArrowStream | _Path
    ) -> Table: ...
