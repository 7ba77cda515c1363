"""What one forward pass is given: a row of packed sequences, or a padded batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medray.training.attention import Pieces
from medray.training.sequences import IGNORED, Sequences

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MicroBatch:
    """Tensors of one forward pass.

    ``input_ids``, ``position_ids``: int64 [1, row], or [pieces, longest] where padded.
    ``pieces``: of a row; None where padded, and then ``attention_mask`` is given. ``predictors``:
    int64 [targets], the places in the flattened batch that predict; ``targets``: the tokens they
    should; ``owners``: int64 [targets], the number of the sequence that each belongs to.
    """

    input_ids: Any
    position_ids: Any
    attention_mask: Any
    pieces: Pieces | None
    predictors: Any
    targets: Any
    owners: Any

    def to(self, device: Any) -> MicroBatch:
        """Return the same on a device."""
        tensors = {k: v.to(device, non_blocking=True) for k, v in vars(self).items() if _moves(v)}
        if self.pieces is not None:
            starts = self.pieces.starts.to(device, non_blocking=True)
            tensors["pieces"] = replace(self.pieces, starts=starts)
        return replace(self, **tensors)


def _moves(value: Any) -> bool:
    return value is not None and not isinstance(value, Pieces)


def targets_of(sequences: Sequences, chosen: Sequence[int]) -> int:
    """Return how many tokens of these sequences are predicted: labelled, not first in a piece."""
    return sum(int(_predicted(sequences, number).sum()) for number in chosen)


def targets_by_language(sequences: Sequences) -> dict[str, int]:
    """Return how many tokens of each language are predicted, where any are."""
    counts = [0] * len(sequences.language_names)
    for number, language in enumerate(sequences.languages):
        counts[language] += int(_predicted(sequences, number).sum())
    named = zip(sequences.language_names, counts, strict=True)
    return {name: count for name, count in named if name and count}


def _predicted(sequences: Sequences, number: int) -> npt.NDArray[np.bool_]:
    """Return, for each token of a sequence, whether the loss counts its prediction."""
    first, end = sequences.offsets[number], sequences.offsets[number + 1]
    predicted: npt.NDArray[np.bool_] = sequences.labels[first:end] != IGNORED
    predicted[sequences.borders(number)] = False
    return predicted


def pack_row(sequences: Sequences, chosen: Sequence[int], first_position: int = 0) -> MicroBatch:
    """Return sequences one after another in a row.

    Positions restart at ``first_position`` with every piece. No sequence at all gives one token
    that nothing is asked of: under ZeRO every worker must do as many passes.
    """
    if not chosen:
        return _tensors(np.zeros((1, 1), np.int64), [0, 1], *_nothing(), first_position)
    tokens, bounds, predictors, owners, length = [], [], [], [], 0
    for number in chosen:
        first, end = sequences.offsets[number], sequences.offsets[number + 1]
        tokens.append(sequences.tokens[first:end])
        bounds.append(sequences.borders(number) + length)
        places = np.flatnonzero(_predicted(sequences, number)) + length
        predictors.append(places - 1)
        owners.append(np.full(len(places), number))
        length += int(end - first)
    row = np.concatenate(tokens).astype(np.int64)[None]
    labels = np.concatenate(
        [sequences.labels[sequences.offsets[n] : sequences.offsets[n + 1]] for n in chosen]
    )
    places = np.concatenate(predictors)
    return _tensors(
        row,
        [*np.concatenate(bounds).tolist(), length],
        places,
        labels[places + 1].astype(np.int64),
        np.concatenate(owners),
        first_position,
    )


def _nothing() -> tuple[Integers, Integers, Integers]:
    return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)


def _tensors(
    row: Integers,
    bounds: list[int],
    predictors: Integers,
    targets: Integers,
    owners: Integers,
    first_position: int,
) -> MicroBatch:
    import torch

    starts = np.asarray(bounds)
    positions = np.arange(bounds[-1]) - np.repeat(starts[:-1], np.diff(starts)) + first_position
    return MicroBatch(
        torch.from_numpy(row),
        torch.from_numpy(positions)[None],
        None,
        Pieces(tuple(bounds), torch.from_numpy(starts.astype(np.int32))),
        torch.from_numpy(predictors),
        torch.from_numpy(targets),
        torch.from_numpy(owners),
    )


def pad_row(sequences: Sequences, chosen: Sequence[int]) -> MicroBatch:
    """Return pieces as a padded batch, one to a line; ``chosen``: their numbers.

    For architectures without an attention that can be told of pieces. Padding stands on the
    right, is masked from attention and is never a target. No piece at all gives one token that
    nothing is asked of.
    """
    import torch

    bounds = sequences.piece_bounds(chosen)
    lengths = bounds[:, 1] - bounds[:, 0]
    shape = (max(1, len(chosen)), int(lengths.max(initial=1)))
    here = np.arange(shape[1]) < lengths[:, None] if len(chosen) else np.ones(shape, np.bool_)
    tokens, labels = np.zeros(shape, np.int64), np.full(shape, IGNORED, np.int64)
    for line, (first, end) in enumerate(bounds):
        tokens[line, : end - first] = sequences.tokens[first:end]
        labels[line, 1 : end - first] = sequences.labels[first + 1 : end]
    places = np.flatnonzero(labels != IGNORED)
    of_lines = np.searchsorted(sequences.offsets, bounds[:, 0], side="right") - 1
    return MicroBatch(
        torch.from_numpy(tokens),
        None,
        torch.from_numpy(here.astype(np.int64)),
        None,
        torch.from_numpy(places - 1),
        torch.from_numpy(labels.reshape(-1)[places]),
        torch.from_numpy(of_lines[places // shape[1]]),
    )
