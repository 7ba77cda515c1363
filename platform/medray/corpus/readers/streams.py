"""Reading a file's bytes from its start, decompressed where it is compressed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from medray.corpus.readers.formats import Compression
from medray.errors import InputError
from medray.storage.location import Location

# Of zstd also the "skippable" frames (RFC 8878, 3.1.2) that parallel compressors begin with.
_MAGIC: dict[Compression, tuple[bytes, ...]] = {
    "gzip": (b"\x1f\x8b",),
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([number]) + b"\x2a\x4d\x18" for number in range(80, 96))),
}
# Not 4 bytes: where S3 answers a shorter read than its own error message (some 300 bytes) with
# an error, Arrow 26 does not try again ("Failed to flush response stream").
HEAD_BYTES = 2**16
# One request to an object store; Arrow's decompressor alone would ask for 64 KiB at a time.
BUFFER_BYTES = 4 * 2**20
PIECE_BYTES = 2**20


def check_compression(file: Location, compression: Compression | None) -> None:
    """Raise InputError where a file's first bytes are not what its name says."""
    with file.filesystem.open_input_stream(file.path, compression=None) as stream:
        head = bytes(stream.read(HEAD_BYTES))
    found = next((name for name, magic in _MAGIC.items() if head.startswith(magic)), None)
    if found == compression:
        return
    if compression is not None:
        raise InputError(f"{file}: not {compression} data; fetch it again or name it as it is")
    raise InputError(f"{file}: {found} data under another name; rename it to end in .gz or .zst")


@contextmanager
def open_stream(file: Location, compression: Compression | None) -> Iterator[pa.NativeFile]:
    """Yield a readable stream of a file's content.

    Several gzip members or zstd frames are read one after another. Broken or torn compressed
    data, met while reading, is an InputError that names the file; a file cut exactly between two
    members cannot be told from a whole one.
    """
    if compression is not None:
        check_compression(file, compression)
    raw = file.filesystem.open_input_stream(file.path, compression=None, buffer_size=BUFFER_BYTES)
    with raw:
        if compression is None:
            yield raw
            return
        try:
            yield pa.CompressedInputStream(raw, compression)
        except OSError as error:
            # Arrow raises OSError for a store's failure too, which is no fault of the file.
            if not any(word in str(error) for word in ("zlib", "ZSTD", "compressed stream")):
                raise
            raise InputError(
                f"{file}: torn or broken {compression} data ({error}); fetch it again"
            ) from error


def pieces_of(stream: pa.NativeFile) -> Iterator[bytes]:
    """Yield a stream's bytes in pieces of at most 1 MiB."""
    while piece := stream.read(PIECE_BYTES):
        yield piece
