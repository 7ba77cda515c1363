"""Cutting windows of tokens: ``window_shard`` against its Hugging Face tokenizer alone.

medray reads the shard, tokenises, adds the end token, cuts and builds the Arrow table; the peer
tokenises the same texts, already in memory. 1 - ratio is the share of the time that medray adds.
"""

from __future__ import annotations

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one core each; Ray brings the others

import tempfile
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from measure import compare
from texts import SOURCE, corpus_texts, utf8_megabytes

from medray.corpus.curate import TokenizerConfig, window_shard
from medray.corpus.tokenizer import load_tokenizer, train_tokenizer
from medray.corpus.windows import WindowConfig
from medray.languages import LANGUAGES
from medray.storage.location import Location
from medray.storage.shards import Shard, plan_parquet

TEXT_MB = 0.4
CONFIG = WindowConfig()


def shard_of(code: str, texts: list[str], folder: Path) -> Shard:
    """Write documents as the filter leaves them; return them as one shard."""
    file = folder / f"{code}.parquet"
    ids = [f"{code}:{row}" for row in range(len(texts))]
    pq.write_table(pa.table({"document_id": ids, "text": texts}), file, compression="zstd")
    columns = ("document_id", "text")
    (shard,) = plan_parquet("windows", [Location.of(file)], columns, code, shard_rows=20_000)
    return shard


def main() -> None:
    texts = {code: corpus_texts(code, TEXT_MB) for code in LANGUAGES}
    size = TokenizerConfig().vocabulary_size
    print(
        f"bench_windows: {SOURCE}, byte-level BPE of {size} tokens trained on them, "
        f"windows of {CONFIG.window_tokens} with {CONFIG.overlap_tokens} overlap"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "tokenizer"
        everything = [text for documents in texts.values() for text in documents]
        train_tokenizer(iter(everything), size).save_pretrained(folder)
        tokenizer = load_tokenizer(folder)
        for code, documents in texts.items():
            shard = shard_of(code, documents, Path(name))
            counts = window_shard(shard, str(folder), CONFIG).counts
            compare(
                f"{code}: {len(documents)} documents, {counts['tokens']} tokens, "
                f"{counts['windows']} windows",
                {
                    "medray window_shard": partial(window_shard, shard, str(folder), CONFIG),
                    "Hugging Face tokenizer alone": partial(
                        tokenizer, documents, add_special_tokens=False
                    ),
                },
                utf8_megabytes(documents),
                "MB",
            )


if __name__ == "__main__":
    main()
