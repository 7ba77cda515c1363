"""Lines of bytes with their offsets, from a stream or from a range of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

# A document beyond this is not read: it would take several times its size in a worker of 1 GiB.
MAXIMUM_DOCUMENT_BYTES = 128 * 2**20
READ_BYTES = 4 * 2**20
# Read beyond a range to end its last line, and at its start to find its first; doubled as needed.
EDGE_BYTES = 256 * 2**10

Line = tuple[int, bytes | None]


def split_lines(pieces: Iterable[bytes], start: int, end: int | None = None) -> Iterator[Line]:
    """Yield (offset, line without its line feed) of lines that begin before ``end``.

    ``start``: offset of the first piece's first byte. A line of more than 128 MiB is yielded as
    None and never held.
    """
    held: list[bytes] = []
    held_bytes = 0
    for piece in pieces:
        *whole, tail = piece.split(b"\n")
        for part in whole:
            if end is not None and start >= end:
                return
            size = held_bytes + len(part)
            yield start, _joined(held, part, size)
            start, held, held_bytes = start + size + 1, [], 0
        held_bytes += len(tail)
        if held_bytes > MAXIMUM_DOCUMENT_BYTES:
            held = []
        elif tail:
            held.append(tail)
        if end is not None and (start >= end or _is_told(start, held_bytes, end)):
            break
    if held_bytes and (end is None or start < end):
        yield start, _joined(held, b"", held_bytes)


def _is_told(start: int, held_bytes: int, end: int) -> bool:
    """Return whether the line that began at ``start`` is too long and the range's last."""
    return held_bytes > MAXIMUM_DOCUMENT_BYTES and start + held_bytes >= end


def _joined(held: list[bytes], part: bytes, size: int) -> bytes | None:
    if size > MAXIMUM_DOCUMENT_BYTES:
        return None
    return b"".join([*held, part]) if held else part


def lines_of_range(file: pa.NativeFile, begin: int, end: int) -> Iterator[Line]:
    """Yield (offset, line) of the lines of a file that begin at ``begin`` or later, before ``end``.

    The last one is read to its end, which may lie beyond. So ranges that cover a file share out
    its lines, each to exactly one.
    """
    first = _first_start(file, begin, end)
    if first is not None:
        yield from split_lines(_range_pieces(file, first, end), first, end)


def _first_start(file: pa.NativeFile, begin: int, end: int) -> int | None:
    """Return where the first line at or after ``begin`` starts; None: not before ``end``."""
    if begin == 0:
        return 0
    position, size = begin - 1, EDGE_BYTES
    while position < end - 1:
        piece: bytes = file.read_at(min(size, end - 1 - position), position)
        if not piece:
            return None
        found = piece.find(b"\n")
        if found >= 0:
            return position + found + 1
        position, size = position + len(piece), min(2 * size, READ_BYTES)
    return None


def _range_pieces(file: pa.NativeFile, begin: int, end: int) -> Iterator[bytes]:
    """Yield the bytes from ``begin`` to the file's end, in small pieces beyond ``end``."""
    position, size = begin, EDGE_BYTES
    while True:
        within = position < end
        # No small rest: see HEAD_BYTES in medray.corpus.readers.streams.
        rest = end - position
        wanted = (rest if rest < READ_BYTES + EDGE_BYTES else READ_BYTES) if within else size
        piece = file.read_at(wanted, position)
        if not piece:
            return
        yield piece
        position += len(piece)
        size = size if within else min(2 * size, READ_BYTES)
