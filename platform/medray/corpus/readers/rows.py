"""Gathering documents to batches of the schema that all readers share."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from medray.corpus.documents import READ_COLUMNS
from medray.storage.parquet_shards import BATCH_BYTES

# The text is not read before a batch has ended, so a million one-word documents end it too.
BATCH_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Row:
    """One document, or why there is none: ``text`` is None exactly where ``problem`` is given."""

    document_id: str
    text: str | None
    url: str
    timestamp: str
    source: str
    problem: str | None = None


@dataclass
class Batch:
    """Rows on the way to a table, with about how many bytes they hold."""

    rows: list[Row] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, row: Row, size_bytes: int) -> None:
        self.rows.append(row)
        self.size_bytes += size_bytes

    @property
    def is_full(self) -> bool:
        return self.size_bytes >= BATCH_BYTES or len(self.rows) >= BATCH_ROWS

    def take(self) -> pa.Table:
        """Return the rows as READ_COLUMNS and begin anew."""
        rows, self.rows, self.size_bytes = self.rows, [], 0
        columns = {name: [getattr(row, name) for row in rows] for name in READ_COLUMNS.names}
        return pa.table(columns, schema=READ_COLUMNS)


def is_unicode(text: str) -> bool:
    """Return whether a text has no lone surrogate, so that UTF-8 can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def without_surrogates(text: str) -> str:
    """Return a text with U+FFFD in the place of each lone surrogate."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
