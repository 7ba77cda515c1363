"""Windows of tokens: their two layouts, their schema, and making them batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from medray.corpus.tokens.engines import TokenizerEngine
from medray.corpus.tokens.packing import Pieces, Stream, cut_overlapping, cut_packed
from medray.recipe import Config
from medray.storage.shards import ShardOutput


class WindowConfig(Config):
    """Size and layout of windows. 2048 with 512 overlap is what MMedLM trained with.

    ``overlapping``: each document by itself. Windows start every ``window_tokens -
    overlap_tokens`` tokens; the last one ends with the document and is full too where the
    document is long enough, so its overlap is larger. A document shorter than a window is one
    short window.

    ``packed``: the documents of a shard one after another, cut into full windows; every token
    stands in exactly one. What is left at a shard's end is one short window, counted as such. A
    document goes on in the next window of its shard.

    In both the end token follows every document, and a document without a token gives nothing.
    Training ends attention at the borders of documents in a window, and positions restart there:
    ``starts`` and ``positions`` tell them.
    """

    layout: Literal["overlapping", "packed"] = Field(
        default="overlapping", description="overlapping: by document, as published; packed: full"
    )
    window_tokens: int = Field(default=2048, ge=8, description="tokens of a full window")
    overlap_tokens: int = Field(
        default=512, ge=0, description="tokens that neighbours share; packed windows share none"
    )

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> WindowConfig:
        if self.layout == "overlapping" and self.overlap_tokens >= self.window_tokens:
            raise ValueError("overlap_tokens must be smaller than window_tokens")
        return self


def window_schema(window_tokens: int) -> pa.Schema:
    """Return the columns of a table of windows.

    ``tokens``: int32 [window_tokens], of which ``length`` count; the rest is padding, never to be
    trained on. One entry for each piece of a document in the window: ``document_ids``, ``starts``
    (where in the window it begins), ``positions`` (which token of its document comes first).
    """
    return pa.schema(
        [
            ("tokens", pa.list_(pa.int32(), window_tokens)),
            ("length", pa.int32()),
            ("document_ids", pa.list_(pa.string())),
            ("starts", pa.list_(pa.int32())),
            ("positions", pa.list_(pa.int32())),
            ("language", pa.string()),
        ]
    )


def make_windows(
    documents: pa.Table, engine: TokenizerEngine, config: WindowConfig, language: str
) -> pa.Table:
    """Return the windows of documents (columns document_id, text) as one shard."""
    outputs = window_outputs([documents], engine, config, language)
    return pa.concat_tables(output.tables["windows"] for output in outputs)


def window_outputs(
    batches: Iterable[pa.Table], engine: TokenizerEngine, config: WindowConfig, language: str
) -> Iterator[ShardOutput]:
    """Yield the table ``windows`` of a shard's documents, one for each batch and one for the rest.

    ``batches``: tables with the columns document_id and text, without null. Only packed windows
    carry anything from one batch to the next: less than a window.

    Counts: documents (that gave a token), tokens (each once, end tokens with them), windows,
    window_tokens (the sum of ``length``), short_windows, padding_tokens.
    """
    stream = Stream.empty()
    for batch in batches:
        encoded = engine.encode(batch["text"])
        added = Stream.of(batch["document_id"], encoded.tokens, encoded.offsets, engine.end_id)
        counts = {"documents": added.documents, "tokens": len(added.tokens)}
        if config.layout == "overlapping":
            pieces = cut_overlapping(
                added, config.window_tokens, config.overlap_tokens, engine.padding_id
            )
        else:
            pieces, stream = cut_packed(
                stream.followed_by(added), config.window_tokens, engine.padding_id, rest=False
            )
        yield _output(pieces, counts, config, language)
    if config.layout == "packed":
        pieces, _ = cut_packed(stream, config.window_tokens, engine.padding_id, rest=True)
        yield _output(pieces, {}, config, language)


def _output(
    pieces: Pieces, counts: dict[str, int], config: WindowConfig, language: str
) -> ShardOutput:
    size, windows = config.window_tokens, len(pieces.lengths)
    lists = pa.array(pieces.offsets, pa.int32())
    columns = [
        pa.FixedSizeListArray.from_arrays(pa.array(pieces.windows.reshape(-1)), size),
        pa.array(pieces.lengths),
        pa.ListArray.from_arrays(lists, pieces.document_ids),
        pa.ListArray.from_arrays(lists, pa.array(pieces.starts)),
        pa.ListArray.from_arrays(lists, pa.array(pieces.positions)),
        pa.repeat(pa.scalar(language), windows),
    ]
    kept = int(pieces.lengths.sum())
    counts = counts | {
        "windows": windows,
        "window_tokens": kept,
        "short_windows": int(np.count_nonzero(pieces.lengths < size)),
        "padding_tokens": windows * size - kept,
    }
    return ShardOutput({"windows": pa.table(columns, schema=window_schema(size))}, counts)
