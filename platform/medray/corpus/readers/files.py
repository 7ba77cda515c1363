"""Files that are one document each, text or HTML: many small ones make one shard."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from medray.corpus.documents import INVALID_UTF8, TOO_LARGE
from medray.corpus.inputs import CorpusInput
from medray.corpus.readers.formats import FileKind, kind_of
from medray.corpus.readers.html import PageReader
from medray.corpus.readers.lines import MAXIMUM_DOCUMENT_BYTES
from medray.corpus.readers.rows import Batch, Row, is_unicode
from medray.corpus.readers.streams import open_stream
from medray.storage.location import Location, content_identity
from medray.storage.shards import Shard, shard_id_of

# Bytes of files in one shard: pages take about 10 s at the 6 to 11 MB/s that trafilatura reads,
# texts are read as fast as Parquet.
GROUP_BYTES = {"html": 64 * 2**20, "text": 256 * 2**20}
# Files of one shard: their names travel in its descriptor, about 50 KB then.
GROUP_FILES = 1000
THREADS = 16
# The one character that no file's name holds.
SEPARATOR = "\0"


def plan_files(
    step: str,
    files: Sequence[Location],
    entry: CorpusInput,
    shard_rows: int,
    origin: str,
) -> list[Shard]:
    """Gather neighbouring files of one format to shards of at most ``shard_rows`` documents.

    A document's id is its group's content and its place there, so equal files in two places stay
    two documents, which deduplication finds.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        identities = list(pool.map(content_identity, files))
    sizes = [info.size for info in files[0].filesystem.get_file_info([f.path for f in files])]
    limit_bytes = GROUP_BYTES[kind_of(files[0], entry).format]
    shards, first, size = [], 0, 0
    for number, size_bytes in enumerate(sizes):
        size += size_bytes
        count = number + 1 - first
        is_last = number == len(files) - 1
        if is_last or count >= min(shard_rows, GROUP_FILES) or size >= limit_bytes:
            identity = hashlib.sha256("|".join(identities[first : number + 1]).encode())
            shards.append(
                _shard(step, files[first : number + 1], identity.hexdigest()[:32], entry, origin)
            )
            first, size = number + 1, 0
    return shards


def _shard(
    step: str, files: Sequence[Location], identity: str, entry: CorpusInput, origin: str
) -> Shard:
    shard_id = shard_id_of(f"{step}|{entry.language}", identity, 0, len(files))
    count = len(files)
    return Shard(shard_id, join(files), identity, 0, count, 0, count, entry.language, origin)


def join(files: Sequence[Location]) -> Location:
    """Return one location that stands for several files of one filesystem; ``members`` undoes it.

    Its path is theirs, relative to the folder that they share, then that folder; its name says
    how many they are.
    """
    if len(files) == 1:
        return files[0]
    folder = posixpath.commonpath([posixpath.dirname(file.path) for file in files])
    prefix = folder if folder in ("", "/") else f"{folder}/"
    names = [file.path.removeprefix(prefix) for file in files]
    label = f"{files[0].name} and {len(names) - 1} more"
    return Location(files[0].filesystem, SEPARATOR.join([*names, prefix + label]))


def members(file: Location) -> list[Location]:
    """Return the files that a location made by ``join`` stands for."""
    *names, last = file.path.split(SEPARATOR)
    if not names:
        return [file]
    prefix = last[: last.rfind("/") + 1]
    return [Location(file.filesystem, prefix + name) for name in names]


def read_files(shard: Shard, entry: CorpusInput) -> Iterator[pa.Table]:
    """Yield a shard's documents, one of each file, in order."""
    batch, any_batch, pages = Batch(), False, None
    for number, file in enumerate(members(shard.file)):
        kind = kind_of(file, entry)
        if kind.format == "html":
            pages = pages or PageReader(entry)
        row, size_bytes = _read_file(file, kind, entry, shard.document_id(number), pages)
        batch.add(row, size_bytes)
        if batch.is_full:
            any_batch = True
            yield batch.take()
    if batch.rows or not any_batch:
        yield batch.take()


def _read_file(
    file: Location, kind: FileKind, entry: CorpusInput, document_id: str, pages: PageReader | None
) -> tuple[Row, int]:
    """Return a file's document and how many bytes were read for it."""
    source = entry.source_name or posixpath.basename(posixpath.dirname(file.path))
    limit = MAXIMUM_DOCUMENT_BYTES if pages is None else entry.html.maximum_bytes
    with open_stream(file, kind.compression) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        return Row(document_id, None, file.name, "", source, TOO_LARGE), 0
    if pages is not None:
        page = pages(content)
        url = page.url or file.name
        return Row(document_id, page.text, url, page.date, source, page.problem), len(content)
    text = _decoded(content, entry.encoding)
    problem = INVALID_UTF8 if text is None else None
    return Row(document_id, text, file.name, "", source, problem), len(content)


def _decoded(content: bytes, encoding: str | None) -> str | None:
    """Return a text without its byte order mark; None where its bytes are not the encoding's."""
    try:
        text = content.decode(encoding or "utf-8").removeprefix("\ufeff")
    except UnicodeError:
        return None
    return text if is_unicode(text) else None
