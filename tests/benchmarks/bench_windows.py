"""Tokenising and cutting windows: medray's engines against Hugging Face's tokenizer alone.

Every round takes documents that no contestant has met, and that the tokenizer was not trained on:
gigatoken remembers words, and on text that comes again it would look twice as fast. It is warmed
on other documents of the language before, as in a worker that is at its second shard. medray's
figures hold the end tokens, windows and Arrow tables; the peers' hold the encoding alone.
"""

from __future__ import annotations

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one core each; Ray brings the others

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from measure import compare
from texts import SOURCE, corpus_texts, utf8_megabytes

from medray.corpus.tokens.engines import GIGATOKEN, GigatokenEngine, HuggingFaceEngine
from medray.corpus.tokens.gate import choose_engine
from medray.corpus.tokens.packing import Stream, cut_overlapping, cut_packed
from medray.corpus.tokens.tokenizer import SPLIT, TokenizerConfig, load_tokenizer, train_tokenizer
from medray.corpus.tokens.windows import WindowConfig, make_windows
from medray.languages import LANGUAGES

Texts = Mapping[str, list[str]]

LANGUAGE_MB = 12.0  # half to train on, half in pieces, one for each round
ROUNDS = 5
CONFIG = WindowConfig()
VOCABULARY_SIZE = TokenizerConfig().vocabulary_size


def trained(texts: Sequence[str]) -> Any:
    """Train a tokenizer, or take the one that an earlier run of this bench left."""
    digest = hashlib.sha256(f"{SPLIT} {VOCABULARY_SIZE} {''.join(texts)}".encode()).hexdigest()
    folder = Path(tempfile.gettempdir()) / "medray-bench-windows" / digest[:16]
    if not (folder / "tokenizer.json").is_file():
        train_tokenizer(iter(texts), VOCABULARY_SIZE).save_pretrained(folder)
    return load_tokenizer(folder)


def pieces(documents: Sequence[str], count: int) -> list[list[str]]:
    """Part documents into ``count`` lists of about as many bytes each."""
    ends = np.cumsum([len(text.encode()) for text in documents])
    numbers = np.minimum(ends * count // (ends[-1] + 1), count - 1)
    parts: list[list[str]] = [[] for _ in range(count)]
    for number, text in zip(numbers, documents, strict=True):
        parts[int(number)].append(text)
    return parts


def table(texts: Sequence[str]) -> pa.Table:
    ids = [f"d{number}" for number in range(len(texts))]
    return pa.table({"document_id": ids, "text": pa.array(texts, pa.string())})


def in_turn(work: Callable[[Any], object], parts: Sequence[Sequence[Any]]) -> Callable[[], object]:
    """Return a run that does the next part's pieces at each call."""
    remaining = iter(parts)
    return lambda: [work(piece) for piece in next(remaining)]


def race(title: str, tokenizer: Any, warm: Texts, fresh: Texts) -> None:
    """Compare all ways on ``fresh``: in each round one piece of every language, one by one."""
    parts = [
        list(turn) for turn in zip(*(pieces(t, ROUNDS + 1) for t in fresh.values()), strict=True)
    ]
    tables = [[table(texts) for texts in part] for part in parts]
    fast, plain = GigatokenEngine(tokenizer), HuggingFaceEngine(tokenizer)
    for documents in warm.values():
        make_windows(table(documents), fast, CONFIG, "en")
    hugging_face = tokenizer.backend_tokenizer
    contestants = {
        "medray, gigatoken": in_turn(lambda t: make_windows(t, fast, CONFIG, "en"), tables),
        "medray, Hugging Face": in_turn(lambda t: make_windows(t, plain, CONFIG, "en"), tables),
        "Hugging Face encode_batch": in_turn(
            lambda texts: hugging_face.encode_batch(texts, add_special_tokens=False), parts
        ),
        "Hugging Face encode_batch_fast": in_turn(
            lambda texts: hugging_face.encode_batch_fast(texts, add_special_tokens=False), parts
        ),
    }
    megabytes = sum(utf8_megabytes(documents) for documents in fresh.values())
    seen = sum(utf8_megabytes(documents) for documents in warm.values())
    title = f"{title}: {megabytes:.0f} MB, gigatoken warmed on {seen:.0f} MB of others"
    compare(title, contestants, megabytes / (ROUNDS + 1), "MB", ROUNDS)


def race_cutting(tokenizer: Any, texts: Sequence[str]) -> None:
    """Cut tokens that are in memory, against copying them once."""
    documents = table(texts)
    encoded = GigatokenEngine(tokenizer).encode(documents["text"])
    stream = Stream.of(documents["document_id"], encoded.tokens, encoded.offsets, 1)
    size, overlap = CONFIG.window_tokens, CONFIG.overlap_tokens
    compare(
        f"cutting {len(stream.tokens)} tokens",
        {
            "medray, packed": lambda: cut_packed(stream, size, 2, rest=True),
            "medray, overlapping": lambda: cut_overlapping(stream, size, overlap, 2),
            "copying the tokens": stream.tokens.copy,
        },
        len(stream.tokens) / 1e6,
        "Mtok",
    )


def main() -> None:
    texts = {code: corpus_texts(code, LANGUAGE_MB) for code in LANGUAGES}
    print(
        f"bench_windows: {SOURCE}, byte-level BPE of {VOCABULARY_SIZE} tokens trained on every "
        f"other document, windows of {CONFIG.window_tokens} with {CONFIG.overlap_tokens} overlap"
    )
    seen = {code: documents[::2] for code, documents in texts.items()}
    fresh = {code: documents[1::2] for code, documents in texts.items()}
    tokenizer = trained([text for documents in seen.values() for text in documents])
    gate = choose_engine(tokenizer, {code: documents[:50] for code, documents in fresh.items()})
    print(f"gate: {gate.as_results()}")
    if gate.engine != GIGATOKEN:
        return
    race("all six languages", tokenizer, seen, fresh)
    for code in LANGUAGES:
        race(code, tokenizer, {code: seen[code]}, {code: fresh[code][::2]})
    race_cutting(tokenizer, [text for documents in fresh.values() for text in documents])


if __name__ == "__main__":
    main()
