"""Readers: whatever the files are, batches of documents of one schema come out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby

import pyarrow as pa

from medray.corpus.inputs import ColumnMapping, CorpusInput, FileFormat
from medray.corpus.readers.files import members, plan_files, read_files
from medray.corpus.readers.formats import kind_of
from medray.corpus.readers.json_lines import check_json_lines, plan_json_lines, read_json_lines
from medray.corpus.readers.parquet import check_parquet, read_parquet
from medray.corpus.readers.streams import check_compression
from medray.storage.location import Location, content_identity
from medray.storage.parquet_shards import plan_parquet
from medray.storage.shards import Shard, shard_id_of

# An object store answers in 10 to 50 ms: one by one, a crawl's files would take minutes.
THREADS = 16


def check_input(entry: CorpusInput, files: Sequence[Location], key: str = "inputs") -> None:
    """Look at the start (and footer) of every file before any stage runs.

    InputError, naming file, key and remedy, for a name that tells no format, a torn Parquet file,
    a mapped column or key that is not there or of a wrong type, first lines that are no JSON
    objects, data that is not compressed as the name says. ``key``: the recipe's key of the input.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(lambda file: _check_file(file, entry, key), files):
            pass


def _check_file(file: Location, entry: CorpusInput, key: str) -> None:
    kind = kind_of(file, entry)
    if kind.format == "parquet":
        check_parquet(file, entry, key)
    elif kind.format == "json_lines":
        check_json_lines(file, kind.compression, entry, key)
    elif kind.compression:
        check_compression(file, kind.compression)


def plan_input(
    step: str, entry: CorpusInput, files: Sequence[Location], shard_rows: int, origin: str
) -> list[Shard]:
    """Cut files into shards, in their order.

    Parquet: whole row groups of about ``shard_rows`` rows or 256 MiB; JSON lines: blocks of
    64 MiB, a compressed file whole; text and HTML: up to 1000 files that stand side by side.
    """
    shards: list[Shard] = []
    for name, group in groupby(files, key=lambda file: kind_of(file, entry).format):
        shards += _plan(step, name, entry, list(group), shard_rows, origin)
    return shards


def _plan(
    step: str,
    format_name: FileFormat,
    entry: CorpusInput,
    files: list[Location],
    shard_rows: int,
    origin: str,
) -> list[Shard]:
    if format_name == "parquet":
        planned = plan_parquet(step, files, (), entry.language, shard_rows, origin)
        return [_of_column(step, shard, entry) for shard in planned]
    if format_name != "json_lines":
        return plan_files(step, files, entry, shard_rows, origin)
    with ThreadPoolExecutor(THREADS) as pool:
        identities = list(pool.map(content_identity, files))
    return [
        _of_column(step, shard, entry)
        for file, identity in zip(files, identities, strict=True)
        for shard in plan_json_lines(step, file, entry, identity, origin)
    ]


def _of_column(step: str, shard: Shard, entry: CorpusInput) -> Shard:
    """Return a shard that names its text column where it is not the usual one.

    Two inputs may take different columns of one file, such as questions and answers: these are
    different documents and must not share their ids.
    """
    if entry.columns.text == ColumnMapping().text:
        return shard
    return _renamed(step, shard, entry.columns.text)


def apart_by_language(step: str, shards: Sequence[Shard]) -> list[Shard]:
    """Return the shards with those renamed whose file was given under another language before.

    A file may hold two languages, of which each is filtered by its own keywords: these are
    different decisions and must not share their documents' ids. The first language keeps them.
    """
    first: dict[str, str] = {}
    return [
        shard
        if first.setdefault(shard.identity, shard.language) == shard.language
        else _renamed(step, shard, shard.language)
        for shard in shards
    ]


def _renamed(step: str, shard: Shard, what: str) -> Shard:
    """Return a shard whose documents' ids name also what of its file is read."""
    named = hashlib.sha256(f"{shard.identity}|{what}".encode()).hexdigest()[:32]
    name = shard_id_of(f"{step}|{shard.language}", named, shard.first_unit, shard.end_unit)
    return replace(shard, identity=named, shard_id=name)


def read_documents(shard: Shard, entry: CorpusInput) -> Iterator[pa.Table]:
    """Yield a shard's documents as tables of READ_COLUMNS, about 8 MiB of text each; at least one.

    A row (line, file) that holds no text has a problem instead. Equal shards give equal tables.
    InputError for a file that is torn or was replaced.
    """
    kind = kind_of(members(shard.file)[0], entry)
    if kind.format == "parquet":
        return read_parquet(shard, entry)
    if kind.format == "json_lines":
        return read_json_lines(shard, kind.compression, entry)
    return read_files(shard, entry)
