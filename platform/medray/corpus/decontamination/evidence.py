"""Evidence: for every removed paragraph its text, and the benchmark item that it touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from medray.corpus.decontamination.document import Removal
from medray.corpus.decontamination.index import BenchmarkIndex
from medray.corpus.steps import Judged

# One row a removed paragraph; it has a row whether or not the document went with it.
CONTAMINATION = pa.schema(
    [
        ("document_id", pa.string()),
        ("language", pa.string()),
        ("paragraph", pa.int32()),  # the line's number in the text, from 0
        ("start", pa.int64()),  # characters of the text as the step was given it
        ("end", pa.int64()),
        ("benchmark", pa.string()),
        ("item_id", pa.string()),
        ("overlap_share", pa.float32()),  # of the paragraph's words
        ("overlap_words", pa.int32()),
        ("removed_text", pa.string()),
        ("item_text", pa.string()),
    ]
)
# What a reader is shown of a paragraph and of an item's text.
MAXIMUM_SHOWN_CHARACTERS = 2000


@dataclass(frozen=True, kw_only=True)
class JudgedByBenchmarks(Judged):
    """What the step says of a batch, and the evidence for it.

    ``removals``: CONTAMINATION's columns, but ``row`` (of the batch) for ``document_id``.
    """

    removals: pa.Table

    def evidence(self, document_ids: pa.Array | pa.ChunkedArray) -> pa.Table:
        """Return CONTAMINATION, given the id of every text of the batch."""
        ids = document_ids.take(self.removals["row"].combine_chunks()).cast(pa.string())
        columns = {name: self.removals[name] for name in CONTAMINATION.names[1:]}
        return pa.table({"document_id": ids} | columns, schema=CONTAMINATION)


REMOVALS = pa.schema([("row", pa.int64()), *list(CONTAMINATION)[1:]])


def describe(
    row: int, text: str, language: str, removals: Sequence[Removal], index: BenchmarkIndex
) -> Iterator[dict[str, Any]]:
    """Yield a row of REMOVALS for each removed paragraph of one text."""
    lines = text.split("\n")
    touched_texts = {removal.row: index.text(removal.row) for removal in removals}
    start, number = 0, 0
    for removal in removals:
        start += sum(len(line) + 1 for line in lines[number : removal.paragraph])
        number = removal.paragraph
        touched = touched_texts[removal.row]
        yield {
            "row": row,
            "language": language,
            "paragraph": number,
            "start": start,
            "end": start + len(lines[number]),
            "benchmark": touched["benchmark"],
            "item_id": touched["item_id"],
            "overlap_share": removal.share,
            "overlap_words": removal.covered,
            "removed_text": shortened(lines[number]),
            "item_text": shortened(touched["text"]),
        }


def shortened(text: str) -> str:
    """Return a text, cut where it is longer than a reader is shown."""
    if len(text) <= MAXIMUM_SHOWN_CHARACTERS:
        return text
    return text[:MAXIMUM_SHOWN_CHARACTERS] + "…"
