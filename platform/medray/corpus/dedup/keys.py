"""A document as one 64-bit number, which orders documents and tells where each lies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.int64]

# From the top: a zero, 23 bits of the shard's number in the plan, 32 of the row in the shard, 8 of
# the size class. The size rides along so that work can be cut to size by ids alone; being the
# lowest bits, and the same whenever the document is the same, it does not disturb the order.
_ROW_BITS, _SIZE_BITS = 32, 8
_SHARD_SHIFT = _ROW_BITS + _SIZE_BITS
MAXIMUM_SHARDS = 1 << 23


def make_keys(shard_number: int, text_bytes: npt.NDArray[np.int64]) -> Keys:
    """Return the keys of a shard's rows; ``text_bytes``: length of each text in UTF-8."""
    rows = np.arange(len(text_bytes), dtype=np.int64)
    # frexp's exponent is the bit length: the least c with text_bytes < 2^c.
    classes = np.frexp(text_bytes.astype(np.float64))[1].astype(np.int64)
    return (shard_number << _SHARD_SHIFT) | (rows << _SIZE_BITS) | classes


def first_key(shard_number: int) -> int:
    """Return the least key that a document of a shard can have."""
    return shard_number << _SHARD_SHIFT


def shard_numbers(keys: Keys) -> Keys:
    """Return the number in the plan of each document's shard."""
    return keys >> _SHARD_SHIFT


def rows_of(keys: Keys) -> Keys:
    """Return each document's row in its shard."""
    return (keys >> _SIZE_BITS) & ((1 << _ROW_BITS) - 1)


def size_bounds(keys: Keys) -> Keys:
    """Return the power of two, in bytes, that each document's text stays below."""
    return np.int64(1) << (keys & ((1 << _SIZE_BITS) - 1))
