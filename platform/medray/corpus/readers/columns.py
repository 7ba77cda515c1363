"""Arrow columns of any type that files have, as the strings that all readers yield."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from medray.corpus.inputs import CorpusInput
from medray.corpus.readers.lines import MAXIMUM_DOCUMENT_BYTES
from medray.storage.location import Location


def source_of(file: Location, entry: CorpusInput) -> str:
    """Return the source of a document that names none itself."""
    return entry.source_name or file.name


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column's type can hold texts: strings or bytes, however laid out."""
    if pat.is_dictionary(kind):
        return is_text(kind.value_type)
    tests = (pat.is_string, pat.is_large_string, pat.is_string_view, pat.is_binary)
    return any(t(kind) for t in (*tests, pat.is_large_binary, pat.is_binary_view))


def is_plain(kind: pa.DataType) -> bool:
    """Return whether a column can be a url, timestamp or source: text, date, time or number."""
    tests = (pat.is_timestamp, pat.is_date, pat.is_integer, pat.is_floating, pat.is_boolean)
    return is_text(kind) or pat.is_null(kind) or any(test(kind) for test in tests)


def find_column(schema: pa.Schema, name: str) -> pa.Field | None:
    """Return a column's field: of that very name, or ``meta.url`` inside a struct; or None."""
    if name in schema.names:
        return schema.field(name)
    head, *path = name.split(".")
    if head not in schema.names:
        return None
    found = schema.field(head)
    for part in path:
        if not pat.is_struct(found.type) or found.type.get_field_index(part) < 0:
            return None
        found = found.type.field(part)
    return found


def take_column(table: pa.Table, name: str) -> pa.Array:
    """Return a column, or a struct's field, as one array."""
    if name in table.column_names:
        return _whole(table[name])
    head, *path = name.split(".")
    return pc.struct_field(_whole(table[head]), path)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def as_bytes(column: pa.Array) -> tuple[pa.BinaryArray, pa.BooleanArray]:
    """Return texts as bytes, unchecked, and which were dropped for being longer than 128 MiB."""
    if pat.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pat.is_string_view(column.type) or pat.is_binary_view(column.type):
        column = column.cast(pa.large_binary())
    too_large = pc.greater(pc.binary_length(column), MAXIMUM_DOCUMENT_BYTES).fill_null(False)
    if too_large.true_count:
        column = pc.if_else(too_large, pa.scalar(None, column.type), column)
    return column.cast(pa.binary()), too_large


def as_strings(column: pa.BinaryArray) -> tuple[pa.StringArray, pa.BooleanArray]:
    """Return bytes as strings, null where they are not UTF-8, and which those are.

    Reading Parquet does not check; Arrow's own check runs at several GB/s and is the usual way.
    """
    try:
        return column.cast(pa.string()), pa.array(np.zeros(len(column), bool))
    except pa.ArrowInvalid:
        texts = [_decoded(value) for value in column.to_pylist()]
    spoilt = pc.and_(pc.is_valid(column), pa.array([text is None for text in texts]))
    return pa.array(texts, pa.string()), spoilt


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def as_plain(column: pa.Array) -> pa.StringArray:
    """Return a url, timestamp or source as text without nulls; times in ISO 8601."""
    kind = column.type
    if pat.is_timestamp(kind):
        seconds = column.cast(pa.timestamp("s", kind.tz and "UTC"), safe=False)
        zone = "Z" if kind.tz else ""
        texts = pc.strftime(seconds, format=f"%Y-%m-%dT%H:%M:%S{zone}")
    elif is_text(kind):
        texts = _readable(as_bytes(column)[0])
    else:
        texts = column.cast(pa.string())
    return texts.fill_null("")


def _readable(column: pa.BinaryArray) -> pa.StringArray:
    """Return bytes as strings, with U+FFFD for what is not UTF-8."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        values = column.to_pylist()
        return pa.array(
            [None if value is None else value.decode("utf-8", "replace") for value in values],
            pa.string(),
        )
