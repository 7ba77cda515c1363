"""What a file is, told by its name: its format and its compression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medray.corpus.inputs import CorpusInput, FileFormat
from medray.errors import InputError
from medray.storage.location import Location

Compression = Literal["gzip", "zstd"]

FORMAT_ENDINGS: dict[str, FileFormat] = {
    ".parquet": "parquet",
    ".jsonl": "json_lines",
    ".json": "json_lines",
    ".ndjson": "json_lines",
    ".txt": "text",
    ".html": "html",
    ".htm": "html",
}
COMPRESSION_ENDINGS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True)
class FileKind:
    """How a file is to be read."""

    format: FileFormat
    compression: Compression | None


def kind_of(file: Location, entry: CorpusInput) -> FileKind:
    """Return what a file is; InputError where neither its name nor the recipe tells."""
    name = file.name.lower()
    stem, dot, ending = name.rpartition(".")
    compression = COMPRESSION_ENDINGS.get(dot + ending)
    if entry.format != "auto":
        return FileKind(entry.format, None if entry.format == "parquet" else compression)
    inner = stem if compression else name
    found = FORMAT_ENDINGS.get(inner[inner.rfind(".") :] if "." in inner else "")
    if found is None or (found == "parquet" and compression):
        raise InputError(
            f"{file}: its name does not tell its format; set format to parquet, json_lines, text "
            f"or html, or name only files ending in {' '.join(FORMAT_ENDINGS)} (.gz, .zst)"
        )
    return FileKind(found, compression)
