"""JSON lines as shards: plain files cut at any byte, compressed ones read as one stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import orjson
import pyarrow as pa

from medray.corpus.documents import INVALID_UTF8, MALFORMED, NO_TEXT, TOO_LARGE
from medray.corpus.inputs import CorpusInput
from medray.corpus.readers.columns import source_of
from medray.corpus.readers.formats import Compression, kind_of
from medray.corpus.readers.html import PageReader, page_reader
from medray.corpus.readers.lines import Line, lines_of_range, split_lines
from medray.corpus.readers.rows import Batch, Row, is_unicode, without_surrogates
from medray.corpus.readers.streams import check_compression, open_stream, pieces_of
from medray.errors import InputError
from medray.storage.location import Location
from medray.storage.shards import UNKNOWN_ROWS, Shard, shard_id_of

# A shard of a plain file: a fraction of a second to read, some seconds of work for all steps.
BLOCK_BYTES = 64 * 2**20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What the check before a run looks at: enough lines to see every key that a file's records have.
CHECKED_BYTES = 2**20
CHECKED_LINES = 100

Getter = Callable[[Mapping[str, Any]], Any]


def plan_json_lines(
    step: str, file: Location, entry: CorpusInput, identity: str, origin: str
) -> list[Shard]:
    """Cut a file into shards whose units are bytes; a compressed file is one shard.

    Where a file is cut changes no document's id.

    A line belongs to the shard in which it begins, so how many lines there are is not known.
    """
    size = file.filesystem.get_file_info(file.path).size
    block = size if kind_of(file, entry).compression else BLOCK_BYTES
    shards = []
    for first in range(0, size, max(1, block)):
        end = min(first + block, size)
        shard_id = shard_id_of(f"{step}|{entry.language}", identity, first, end)
        place = first, end, 0, UNKNOWN_ROWS
        shards.append(Shard(shard_id, file, identity, *place, entry.language, origin))
    return shards


def read_json_lines(
    shard: Shard, compression: Compression | None, entry: CorpusInput
) -> Iterator[pa.Table]:
    """Yield a shard's documents; a document's number is its line's offset in the (plain) content.

    A line that is no JSON object has the problem ``malformed``, one whose text is absent or no
    string ``no_text``; an empty line is no document. The last of equal keys counts.
    """
    batch, any_batch = Batch(), False
    read = _RecordReader(shard, entry)
    for offset, line in _lines(shard, compression):
        row = read(offset, line)
        if row is not None:
            batch.add(row, len(line or b""))
        if batch.is_full:
            any_batch = True
            yield batch.take()
    if batch.rows or not any_batch:
        yield batch.take()


def _lines(shard: Shard, compression: Compression | None) -> Iterator[Line]:
    if compression is None:
        with shard.file.open_input() as file:
            yield from lines_of_range(file, shard.first_unit, shard.end_unit)
        return
    with open_stream(shard.file, compression) as stream:
        yield from split_lines(pieces_of(stream), 0)


class _RecordReader:
    """Makes a document of one line."""

    def __init__(self, shard: Shard, entry: CorpusInput) -> None:
        self._shard = shard
        self._text = getter(entry.columns.text)
        self._url = getter(entry.columns.url)
        self._timestamp = getter(entry.columns.timestamp)
        self._source = getter(entry.columns.source)
        self._default_source = source_of(shard.file, entry)
        self._pages: PageReader | None = page_reader(entry)

    def __call__(self, offset: int, line: bytes | None) -> Row | None:
        document_id = self._shard.document_id(offset)
        if line is None:
            return self._problem(document_id, TOO_LARGE)
        if offset == 0 and line.startswith(BYTE_ORDER_MARK):
            line = line.removeprefix(BYTE_ORDER_MARK)
        try:
            record, is_clean = orjson.loads(line), True
        except orjson.JSONDecodeError:
            if not line.strip():
                return None
            record, is_clean = parse_leniently(line), False
        if not isinstance(record, dict):
            return self._problem(document_id, MALFORMED)
        text, url = self._text(record), as_text(self._url(record), is_clean)
        timestamp = as_text(self._timestamp(record), is_clean)
        source = as_text(self._source(record), is_clean) or self._default_source
        problem = None
        if not isinstance(text, str):
            text, problem = None, NO_TEXT
        elif not is_clean and not is_unicode(text):
            text, problem = None, INVALID_UTF8
        if text is None or self._pages is None:
            return Row(document_id, text, url, timestamp, source, problem)
        page = self._pages(text)
        return Row(
            document_id, page.text, url or page.url, timestamp or page.date, source, page.problem
        )

    def _problem(self, document_id: str, problem: str) -> Row:
        return Row(document_id, None, "", "", self._default_source, problem)


def parse_leniently(line: bytes) -> Any:
    """Return what the standard library's parser makes of a line that orjson refuses; or None.

    It takes NaN and lone surrogates. A byte that is not UTF-8 becomes a lone surrogate, so that
    only the part of the record in which it stands is spoilt.
    """
    try:
        return json.loads(line.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None


def getter(name: str | None) -> Getter:
    """Return what takes a value out of a record: a key, or a path with dots; None: nothing."""
    if name is None:
        return lambda record: None
    if "." not in name:
        return lambda record: record.get(name)
    *parents, last = name.split(".")

    def take(record: Mapping[str, Any]) -> Any:
        if name in record:
            return record[name]
        inner: Any = record
        for parent in parents:
            inner = inner.get(parent) if isinstance(inner, dict) else None
        return inner.get(last) if isinstance(inner, dict) else None

    return take


def as_text(value: Any, is_clean: bool) -> str:
    """Return a url, timestamp or source as text: a string as it is, null as nothing, else JSON."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if is_clean else without_surrogates(text)


def check_json_lines(
    file: Location, compression: Compression | None, entry: CorpusInput, key: str
) -> None:
    """Raise InputError where a file's first lines are not JSON objects with the mapped keys."""
    check_compression(file, compression)
    with open_stream(file, compression) as stream:
        head = stream.read(CHECKED_BYTES).removeprefix(BYTE_ORDER_MARK)
    if head.lstrip().startswith(b"["):
        raise InputError(f"{file}: a JSON array, not JSON lines: give it one object a line (jq -c)")
    *whole, tail = head.split(b"\n")
    lines = whole if len(head) == CHECKED_BYTES else [*whole, tail]
    present = list(islice((line for line in lines if line.strip()), CHECKED_LINES))
    records = [r for r in map(parse_leniently, present) if isinstance(r, dict)]
    if present and not records:
        raise InputError(f"{file}: its first lines are no JSON objects; set {key}.format")
    for part, name in entry.columns.named().items() if records else ():
        take = getter(name)
        if all(take(record) is None for record in records):
            known = ", ".join(sorted({name for record in records for name in record}))
            remedy = "name one of these" if part == "text" else "name one of these, or null"
            raise InputError(
                f"{file}: {key}.columns.{part}: no key {name}; it has {known}: {remedy}"
            )
