"""What the benchmarks read: the samples, and the real corpus where it lies beside the checkout."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "jobs" / "samples"
REAL_CORPUS = ROOT.parent / "shared" / "data" / "corpus"
BYTES_PER_MB = 1e6

# Sample documents repeat, and so compress better and meet warmer caches than real ones.
SOURCE = "real documents" if REAL_CORPUS.is_dir() else "sample documents, repeated"


def sample_texts(code: str, megabytes: float) -> list[str]:
    """Return the sample documents of a language, repeated to at least so many MB of UTF-8."""
    return _repeated(SAMPLES / "corpus" / code, megabytes)


def corpus_texts(code: str, megabytes: float) -> list[str]:
    """Return real documents of a language where there are any, else the samples, repeated."""
    return _repeated(
        (REAL_CORPUS if REAL_CORPUS.is_dir() else SAMPLES / "corpus") / code, megabytes
    )


def _repeated(folder: Path, megabytes: float) -> list[str]:
    documents: list[str] = pq.read_table(folder, columns=["text"])["text"].to_pylist()
    texts: list[str] = []
    size = 0.0
    for text in cycle(documents):
        texts.append(text)
        size += utf8_megabytes([text])
        if size >= megabytes:
            return texts
    raise ValueError(f"{folder}: no document")


def utf8_megabytes(texts: list[str]) -> float:
    """Return the size of the texts in MB (10^6 bytes) of UTF-8."""
    return sum(len(text.encode()) for text in texts) / BYTES_PER_MB
