"""Rows to items, as a declaration's columns say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medray.errors import InputError
from medray.evaluation.benchmarks.declaration import Answers, Columns, Declaration, Options
from medray.evaluation.benchmarks.files import Row
from medray.evaluation.benchmarks.item import Item

LETTERS = "ABCDEFGHIJ"
_PLACE = re.compile(r"\{([^{}]+)\}")
_OPTION_IN_TEXT = re.compile(
    r"(?:^|[\t\n\s])([A-J]): ?(.*?)\s*(?=\t[A-J]:|\n[A-J]:|\t*$|\t*\n)", re.M
)
_LETTER = re.compile(r"(?<![A-Za-z])([A-J])(?=:)")


def item_of(row: Row, declaration: Declaration, columns: Columns, language: str) -> Item:
    """Return a row as an item; ``KeyError`` and ``ValueError`` where it does not fit."""
    options = _options(row, columns.options)
    sets = (
        [()]
        if columns.answers is None
        else _answer_sets(row, columns.answers, declaration, options)
    )
    item = Item(
        item_id=text_at(row, columns.id),
        language=text_at(row, columns.language) if columns.language else language,
        question=text_at(row, columns.question).strip(),
        answers=sets[0],
        form=declaration.form,
        options=options,
        also_right=tuple(sets[1:]),
        rationale=text_at(row, columns.rationale) if columns.rationale else "",
        groups={
            name: text for name, path in columns.groups.items() if (text := text_at(row, path))
        },
        points=float(text_at(row, columns.points)) if columns.points else 1.0,
        instruction=(
            text_at(row, columns.instruction) if columns.instruction else declaration.instruction
        ),
        tokens=tuple(row["tokens"]) if declaration.form == "entities" and "tokens" in row else (),
        tags=tuple(row["tags"]) if declaration.form == "entities" and "tags" in row else (),
    )
    _check(item, declaration)
    return item


def _check(item: Item, declaration: Declaration) -> None:
    if not item.question:
        raise ValueError("the question is empty")
    referenced = declaration.columns is None or declaration.columns.answers is not None
    if not item.answers and referenced and declaration.form not in ("labels", "entities"):
        raise ValueError("no answer")
    if declaration.form in ("choice", "choices", "label", "labels") and item.options:
        for answers in (item.answers, *item.also_right):
            if unknown := [answer for answer in answers if answer not in item.options]:
                known = ", ".join(item.options)
                raise ValueError(f"answer {', '.join(unknown)} is none of {known:.200}")
    if declaration.form in ("choice", "label") and len(item.answers) != 1:
        raise ValueError(f"{len(item.answers)} answers; form {declaration.form} has one")


def value_at(row: Mapping[str, Any], path: str) -> Any:
    """Return what lies at a path of keys; ``KeyError`` names the one that is missing."""
    value: Any = row
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise KeyError(path)
        value = value[key]
    return value


def text_at(row: Mapping[str, Any], place: str) -> str:
    """Return the text at a path, or a template's with its paths filled in; "" for null."""
    if "{" in place:
        return _PLACE.sub(lambda match: text_at(row, match[1]), place)
    value = value_at(row, place)
    if isinstance(value, list):
        return "\n".join(str(part) for part in value)
    return "" if value is None else str(value)


def _options(row: Row, options: Options | None) -> dict[str, str]:
    if options is None or options.of_answers:
        return {}
    if options.fixed:
        return dict(options.fixed)
    if options.columns:
        texts = [text_at(row, column) for column in options.columns]
        return dict(zip(LETTERS, texts, strict=False))
    if options.in_text:
        found = _OPTION_IN_TEXT.findall(text_at(row, options.in_text))
        if not found:
            raise ValueError("no options stand in the text as A: one")
        return dict(found)
    assert options.column is not None
    value = value_at(row, options.column)
    if isinstance(value, Mapping):
        return {str(letter).upper(): str(text) for letter, text in value.items()}
    texts = [text_at(entry, options.text) if options.text else str(entry) for entry in value]
    return dict(zip(LETTERS, texts, strict=False))


def _answer_sets(
    row: Row, answers: Answers, declaration: Declaration, options: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """Return the right answers, then every further set of them that is right as well."""
    value = value_at(row, answers.column)
    alternatives = [value]
    if answers.also is not None:
        said = value[0] if isinstance(value, list) and len(value) == 1 else value
        alternatives = said.split(answers.also) if isinstance(said, str) else [value]
    return [tuple(_answers(one, answers, declaration, options)) for one in alternatives]


def _answers(
    value: Any, answers: Answers, declaration: Declaration, options: Mapping[str, str]
) -> Iterator[str]:
    parts = value if isinstance(value, list) else [value]
    if answers.separator is not None:
        parts = [part for text in parts for part in str(text).split(answers.separator)]
    for part in parts:
        text = str("" if part is None else part).strip()
        text = text.removeprefix(answers.behind).removesuffix(answers.drop).strip()
        text = text.lower() if answers.lower else text
        if answers.names:
            if text not in answers.names:
                raise ValueError(f"{text!r} is none of {', '.join(answers.names)}")
            text = answers.names[text]
        elif answers.counts_from is not None:
            text = list(options or LETTERS)[int(text) - answers.counts_from]
        elif answers.letter or answers.letters:
            found = _LETTER.findall(text)
            if not found:
                raise ValueError(f"no letter stands before a colon in {text!r:.80}")
            yield from dict.fromkeys(found if answers.letters else found[:1])
            continue
        elif declaration.form in ("choice", "choices") and options:
            text = text.upper()
        if text and text != answers.empty:
            yield text


def with_labels_of_answers(items: Sequence[Item]) -> list[Item]:
    """Return items whose labels are all the answers that the split has."""
    from dataclasses import replace

    labels = dict.fromkeys(sorted({answer for item in items for answer in item.answers}), "")
    return [replace(item, options=labels) for item in items]


def entities_of_tags(tokens: Sequence[str], tags: Sequence[str]) -> list[str]:
    """Return the marked strings in the order of the text, tokens joined by a blank.

    Lenient IOB, as seqeval reads it by default: an I- that goes on from no entity of its kind
    begins one.
    """
    found: list[list[str]] = []
    before = "O"
    for token, tag in zip(tokens, tags, strict=True):
        kind = tag.partition("-")[2]
        goes_on = tag.startswith("I-") and before.partition("-")[2] == kind and before != "O"
        if goes_on:
            found[-1].append(token)
        elif tag != "O":
            found.append([token])
        before = tag
    return [" ".join(entity) for entity in found]


def wrong_row(file: str, number: int, error: Exception) -> InputError:
    """Return the error that names file, row and what is wrong there."""
    told = f"no column {error}" if isinstance(error, KeyError) else str(error)
    return InputError(f"{file}: row {number}: {told}")
