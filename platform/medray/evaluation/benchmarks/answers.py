"""Options and right answers of a row, as a declaration's columns say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medray.evaluation.benchmarks.declaration import Answers, Options
from medray.evaluation.benchmarks.paths import text_at, text_of, value_at
from medray.instruct.questions import LETTERS

_FIRST = re.compile(r"(?:^|\s)A: ?(.*)", re.DOTALL)
_NEXT = re.compile(r"\s*([B-J]): ?(.*)", re.DOTALL)
# "The right answer is A: a text", "A.", "(A)".
_LETTER = (re.compile(r"(?<![A-Za-z])([A-J])(?=:)"), re.compile(r"^\W*([A-J])\W*$"))


def options_of(row: Mapping[str, Any], options: Options | None) -> dict[str, str]:
    """Return a row's options, letter -> text, or labels; ``ValueError`` for more than letters."""
    if options is None:
        return {}
    if options.fixed or options.of_answers:
        return dict(options.fixed)
    if options.columns:
        return _lettered([text_at(row, column) for column in options.columns])
    if options.in_text:
        return options_in_text(text_at(row, options.in_text))
    assert options.column is not None  # Options sees to it
    value = value_at(row, options.column)
    if isinstance(value, Mapping):
        return {str(letter).upper(): text_of(text) for letter, text in value.items()}
    return _lettered([text_at(entry, options.text) if options.text else entry for entry in value])


def _lettered(texts: Sequence[Any]) -> dict[str, str]:
    if len(texts) > len(LETTERS):
        raise ValueError(f"{len(texts)} options; there are letters for {len(LETTERS)}")
    return {letter: text_of(text) for letter, text in zip(LETTERS, texts, strict=False)}


def options_in_text(text: str) -> dict[str, str]:
    """Return the options at the end of a text: "Options: A: one<tab>B: two", or one a line.

    MedS-Ins writes its questions so. A: begins the last run of letters in rising order; what
    stands between two letters belongs to the first. ``ValueError`` where there is no such run.
    """
    found: dict[str, str] = {}
    last = ""
    for part in re.split(r"[\t\n]", text):
        following = _NEXT.fullmatch(part)
        first = _FIRST.search(part)
        if last and following and following[1] > last:
            last = following[1]
            found[last] = following[2].strip()
        elif first:
            last = "A"
            found = {last: first[1].strip()}
        elif last and part.strip():
            found[last] += f"\n{part.strip()}"
    if len(found) < 2:
        raise ValueError("no options stand in the text as 'A: one', tab, 'B: two'")
    return found


def answer_sets(
    value: Any, answers: Answers, lettered: bool, options: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """Return the right answers that a column's value tells, then all sets that are right as well.

    ``lettered``: answers are letters of ``options``. ``ValueError`` where they cannot be read.
    """
    texts = [_stripped(one, answers) for one in (value if isinstance(value, list) else [value])]
    sets = [texts]
    if answers.or_word is not None and len(texts) == 1:
        sets = [[text] for text in texts[0].split(answers.or_word)]
    return [tuple(dict.fromkeys(_read(one, answers, lettered, options))) for one in sets]


def _stripped(value: Any, answers: Answers) -> str:
    text = text_of(value).strip()
    text = text.lower() if answers.lower else text
    return text.removeprefix(answers.prefix).strip().removesuffix(answers.suffix).strip()


def _read(
    texts: Sequence[str], answers: Answers, lettered: bool, options: Mapping[str, str]
) -> Iterator[str]:
    if answers.separator is not None:
        texts = [part.strip() for text in texts for part in text.split(answers.separator)]
    for text in texts:
        if not text or text in answers.nothing:
            continue
        if answers.read == "letters":
            yield from _letters(text, options)
        elif answers.read == "option_names":
            yield from (name for name in options if name.lower() in text.lower())
        elif answers.names:
            if text not in answers.names:
                raise ValueError(f"{text!r} is none of {', '.join(answers.names)}")
            yield answers.names[text]
        elif answers.counts_from is not None:
            yield _numbered(text, answers.counts_from, options)
        else:
            yield text.upper() if lettered else text


def _letters(text: str, options: Mapping[str, str]) -> list[str]:
    """The letters whose 'A: text' stands there; else the first before a colon, or the only sign."""
    found = [letter for letter, option in options.items() if f"{letter}: {option}" in text]
    if found:
        return found
    for pattern in _LETTER:
        if match := pattern.search(text):
            return [match[1]]
    raise ValueError(f"no letter of an option stands in {text!r:.80}")


def _numbered(text: str, counts_from: int, options: Mapping[str, str]) -> str:
    number = int(text) - counts_from
    if not 0 <= number < len(options):
        raise ValueError(f"answer {text}: there are {len(options)} options")
    return list(options)[number]
