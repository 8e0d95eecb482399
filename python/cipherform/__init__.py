"""Format-preserving encryption for data in use: Arrow arrays and tables, Parquet files, SQL.

`Engine` protects and reveals by a policy, and gives the results that the command `cipherform` and its SQL give. `FF1` and
`FF3_1` are the ciphers themselves.

Any object with the Arrow PyCapsule interface goes in: of pyarrow, pandas, polars, duckdb and others. None of them is
needed to import this. `Array`, `ChunkedArray` and `Table` come out, which all of them take without copying:
`pyarrow.array(result)`, `pyarrow.table(result)`, `pandas.DataFrame.from_arrow(result)`, `polars.DataFrame(result)`.
"""

from cipherform._cipherform import (
    FF1,
    FF3_1,
    Array,
    ChunkedArray,
    Engine,
    Table,
    __version__,
)
from cipherform.errors import (
    BadInputError,
    CipherformError,
    FillingUpWarning,
    InternalError,
    IoError,
    KeyNotFoundError,
    KeyNotUsableError,
    LeftClearWarning,
    NotAllowedError,
    PolicyError,
    ProviderDownError,
    WrongKeyError,
)

__all__ = [
    "FF1",
    "FF3_1",
    "Array",
    "BadInputError",
    "ChunkedArray",
    "CipherformError",
    "Engine",
    "FillingUpWarning",
    "InternalError",
    "IoError",
    "KeyNotFoundError",
    "KeyNotUsableError",
    "LeftClearWarning",
    "NotAllowedError",
    "PolicyError",
    "ProviderDownError",
    "Table",
    "WrongKeyError",
    "__version__",
]
