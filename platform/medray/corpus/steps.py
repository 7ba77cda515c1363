"""What every step over documents is: a function from a batch of texts to what it says of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa


@dataclass(frozen=True)
class Judged:
    """What a step says of a batch of texts.

    ``reasons``: one string a text, null where the text stays. ``scores``: columns for the table of
    decisions, one value a text. ``texts``: the texts as the step leaves them, None where it leaves
    all as they are; of a text that does not stay it may hold anything.
    """

    reasons: pa.StringArray
    scores: Mapping[str, pa.Array] = field(default_factory=dict)
    texts: pa.StringArray | None = None


class Step(Protocol):
    """One step: its reasons are all that it can say, so that counts and plots know them before.

    A step is built once in each worker process. ``texts`` holds no null and only valid UTF-8;
    an empty text may come. Equal input gives equal output, whatever else is in the batch.
    """

    @property
    def name(self) -> str: ...

    @property
    def reasons(self) -> tuple[str, ...]: ...

    def __call__(self, texts: pa.StringArray, language: str) -> Judged: ...
