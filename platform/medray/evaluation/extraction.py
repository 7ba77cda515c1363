"""Finding the chosen options and the rationale in a generated answer, by named rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from medray.instruct.prompts import RATIONALE_HEADER

# A character that would make a longer word of a Latin one. Han and kana do not, and stand there
# without a blank: 答案是OPTION B。
_WORD = r"[^\W぀-ヿ㐀-䶿一-鿿]"
# The trained form, tolerant of case, blanks, separators and a missing end.
_OPTION = re.compile(
    rf"(?<!{_WORD})OPTION\s*:?\s*([A-J](?:\s*[,、，]\s*[A-J])*)(?!{_WORD})", re.IGNORECASE
)
# A bare letter, or letters, as the whole answer or first line, or at its very beginning before
# punctuation: "B", "(B)", "A,C", "B.". "A 62-year-old man" is no answer.
_BARE = re.compile(r"^\W*([A-J](?:\s*[,、，]\s*[A-J])*)\s*(?=$|[\n.):：、，。）])")
_HEADER = re.compile(r"###\s*Answer", re.IGNORECASE)


@dataclass(frozen=True)
class Extracted:
    """``letters``: the chosen options, sorted, empty where no rule fits; ``rule``: which did."""

    letters: tuple[str, ...]
    rule: str
    rationale: str


def extract(text: str, options: Iterable[str]) -> Extracted:
    """Read a generated answer. A letter that is no option of the question is not an answer.

    Rules, first fit wins: ``option`` (the last OPTION A[,B] of the text), ``bare`` (letters at
    the beginning); else ``unparsed``, which is counted and never taken for an answer.
    """
    allowed = set(options)
    header = _HEADER.search(text)
    rationale = text[: header.start()] if header else text
    rationale = rationale.strip().removeprefix(RATIONALE_HEADER.strip()).strip()
    found = _OPTION.findall(text)
    bare = _BARE.match(text.strip())
    for rule, letters in (
        ("option", found[-1] if found else ""),
        ("bare", bare[1] if bare else ""),
    ):
        chosen = tuple(sorted(set(re.findall(r"[A-J]", letters.upper()))))
        if chosen and set(chosen) <= allowed:
            return Extracted(chosen, rule, rationale)
    return Extracted((), "unparsed", rationale)
