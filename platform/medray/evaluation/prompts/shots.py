"""Examples shown before a question: from another split than the one that is asked."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from medray.errors import InputError
from medray.evaluation.benchmarks import catalogue
from medray.evaluation.benchmarks.declaration import Declaration
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.prompts.frames import same_question

# Where shots may come from, in this order.
TAUGHT_SPLITS = ("train", "validation")


def draw_shots(
    declaration: Declaration,
    data_folder: Path,
    asked: Sequence[Item],
    count: int,
    seed: int = 0,
) -> Mapping[str, Sequence[Item]]:
    """Return language -> so many shots, the same for every item of it, so that a prefix is shared.

    Drawn from the training split, or the validation split where there is none; never one that asks
    what an item of ``asked`` asks. ``InputError`` where the benchmark has no such split, or too few
    items of a language in it.
    """
    if count == 0:
        return {item.language: () for item in asked}
    pool = _pool(declaration, data_folder, asked)
    found = {}
    for code in dict.fromkeys(item.language for item in asked):
        of_language = [item for item in pool if item.language == code]
        if len(of_language) < count:
            raise InputError(
                f"{declaration.name}: {count} shots are wanted, {len(of_language)} items of "
                f"language {code} may be shown"
            )
        found[code] = random.Random(f"{seed} {code}").sample(of_language, count)
    return found


def _pool(declaration: Declaration, data_folder: Path, asked: Sequence[Item]) -> list[Item]:
    scored = {same_question(item) for item in asked}
    split = next(
        (s for s in TAUGHT_SPLITS if s in declaration.splits and s != declaration.scored_split),
        None,
    )
    if split is None:
        there = ", ".join(declaration.splits)
        raise InputError(
            f"{declaration.name}: shots come from a training or validation split; it has {there}"
        )
    items = catalogue.items(declaration, data_folder, split)
    # Two items of a real training split may ask the same, and one of them what the test asks.
    return list({q: item for item in items if (q := same_question(item)) not in scored}.values())
