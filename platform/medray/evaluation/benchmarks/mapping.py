"""Rows to items, as a declaration's columns say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from medray.evaluation.benchmarks.answers import answer_sets, options_of
from medray.evaluation.benchmarks.declaration import Columns, Declaration, Part, Split
from medray.evaluation.benchmarks.files import Row
from medray.evaluation.benchmarks.iob import entities
from medray.evaluation.benchmarks.item import Item
from medray.evaluation.benchmarks.paths import fits, text_at, value_at
from medray.instruct.questions import LETTERS


def item_of(row: Row, declaration: Declaration, split: Split, part: Part) -> Item:
    """Return a row as an item; ``KeyError`` and ``ValueError`` where it does not fit."""
    columns = declaration.columns
    assert columns is not None  # Declaration sees to it
    item_id = text_at(row, columns.id)
    own = text_at(row, columns.instruction) if columns.instruction else ""
    item = Item(
        item_id=item_id,
        language=_language(row, columns, declaration, part),
        form=declaration.form,
        void=item_id in declaration.void,
        rationale=_rationale(row, columns, split),
        groups=_groups(row, columns) | part.groups,
        points=float(text_at(row, columns.points)) if columns.points else 1.0,
        instruction=own or declaration.instruction,
        **(_tagged(row, columns) if columns.iob else _asked(row, columns, declaration)),
    )
    _check(item, columns)
    return item


def _asked(row: Row, columns: Columns, declaration: Declaration) -> dict[str, Any]:
    options = options_of(row, columns.options)
    sets: list[tuple[str, ...]] = [()]
    if columns.answers is not None:
        lettered = declaration.form in ("choice", "choices") and bool(options)
        value = value_at(row, columns.answers.column)
        sets = answer_sets(value, columns.answers, lettered, options)
    context = text_at(row, columns.context).lstrip() if columns.context else ""
    question = (context + text_at(row, columns.question)).strip()
    return {
        "question": question,
        "context": question if declaration.question_is_material else context,
        "options": options,
        "options_in_question": bool(columns.options and columns.options.in_text),
        "answers": sets[0],
        "also_right": tuple(sets[1:]),
    }


def _tagged(row: Row, columns: Columns) -> dict[str, Any]:
    assert columns.iob is not None  # asked by item_of
    tokens, tags = value_at(row, columns.iob.tokens), value_at(row, columns.iob.tags)
    return {
        "question": " ".join(tokens),
        "answers": tuple(entities(tokens, tags, columns.iob.kinds)),
        "tokens": tuple(tokens),
        "tags": tuple(tags),
    }


def _language(row: Row, columns: Columns, declaration: Declaration, part: Part) -> str:
    said = text_at(row, columns.language) if columns.language else ""
    language = said or part.language or declaration.languages[0]
    if language not in declaration.languages:
        raise ValueError(f"language {language!r} is none of {', '.join(declaration.languages)}")
    return language


def _rationale(row: Row, columns: Columns, split: Split) -> str:
    if columns.rationale is None:
        return ""
    counts = {path: value for path, value in split.rationale_where.items() if path in row}
    return text_at(row, columns.rationale) if fits(row, counts) else ""


def _groups(row: Row, columns: Columns) -> dict[str, str]:
    told = {name: text_at(row, place) for name, place in columns.groups.items()}
    return {name: text for name, text in told.items() if text}


def _check(item: Item, columns: Columns) -> None:
    if not item.question:
        raise ValueError("the question is empty")
    if columns.answers and not item.answers and item.form not in ("labels", "entities"):
        raise ValueError("no answer")
    checked = item.options and not (columns.options and columns.options.of_answers)
    for answers in (item.answers, *item.also_right):
        unknown = [answer for answer in answers if checked and answer not in item.options]
        if unknown:
            known = ", ".join(item.options)
            raise ValueError(f"answer {', '.join(unknown)} is none of {known:.200}")
        if item.form in ("choice", "label") and len(answers) > 1:
            raise ValueError(f"{len(answers)} answers; form {item.form} has one")


def with_labels_of_answers(items: Sequence[Item]) -> list[Item]:
    """Return items whose labels are the declared ones and then all other answers of the split."""
    answers = dict.fromkeys(sorted({answer for item in items for answer in item.answers}), "")
    return [replace(item, options={**item.options, **answers, **item.options}) for item in items]


def as_choices(item: Item) -> Item:
    """Return an item with labels as one with letters: yes, no becomes A, B."""
    letters = dict(zip(item.options, LETTERS, strict=False))
    return replace(
        item,
        form="choice" if item.form == "label" else "choices",
        options={letter: label for label, letter in letters.items()},
        answers=tuple(letters[label] for label in item.answers),
    )
