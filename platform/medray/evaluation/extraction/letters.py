"""Finding the chosen options and the rationale in a generated answer, by named rules."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medray.evaluation.extraction.phrases import LETTERS, STATED, STATED_BEHIND, WORD
from medray.instruct.prompts import RATIONALE_HEADER

# The trained form, tolerant of case, blanks, separators and a missing end.
_OPTION = re.compile(
    rf"(?<!{WORD})OPTION\s*:?\s*([A-J](?:\s*[,、]\s*[A-J])*)(?!{WORD})", re.IGNORECASE
)
# A bare letter, or letters, as the whole answer or first line, or at its very beginning before
# punctuation: "B", "(B)", "A,C", "B.". "A 62-year-old man" is no answer.
_BARE = re.compile(r"^\W*([A-J](?:\s*[,、]\s*[A-J])*)\s*(?=$|[\n.):、,。])")
# Letters and nothing else: in any case, with any sign between, or joined.
_ALONE = re.compile(rf"^\W*({LETTERS})\W*$", re.IGNORECASE)
_HEADER = re.compile(r"###\s*Answer", re.IGNORECASE)
# Names under which JSON answers keep the choice; the last one in a text counts.
_KEYS = (
    "answer", "answers", "answer_choice", "answer_idx", "answer_index", "answer_letter", "choice",
    "correct_answer", "final_answer", "option", "prediction",
    "答案", "正确答案", "答え", "正解", "回答", "réponse", "reponse", "respuesta", "ответ",
)  # fmt: skip
# A text in place of the letter is looked for only in an answer this short; longer ones speak of
# several options.
_SHORT_ANSWER = 200


@dataclass(frozen=True)
class Extracted:
    """``letters``: the chosen options, sorted, empty where no rule fits; ``rule``: which did."""

    letters: tuple[str, ...]
    rule: str
    rationale: str


def extract(text: str, options: Mapping[str, str] | Iterable[str]) -> Extracted:
    """Read a generated answer. A letter that is no option of the question is not an answer.

    ``options``: letters, or letter -> text. Rules, first fit wins:

    - ``json``: an object's value under answer, answer_choice, ...; broken JSON too. Where there is
      such a key, no other rule is asked: what it says is the answer, readable or not;
    - ``option``: the last OPTION A[,B] of the text, the form that training teaches;
    - ``stated``: the last "the answer is B", 答案是B, 正解はB, la réponse est B, la respuesta es B,
      ответ: B, "B is correct", and the like;
    - ``bare``: letters at the beginning, or nothing else;
    - ``text``: the text of one option, as a line or alone in a short answer.

    Else ``unparsed``, which is counted and never taken for an answer. Letters of another script
    that look alike (Cyrillic В) are not read: В is also the third of its own.
    """
    texts = dict(options) if isinstance(options, Mapping) else dict.fromkeys(options, "")
    header = _HEADER.search(text)
    rationale = text[: header.start()] if header else text
    rationale = rationale.strip().removeprefix(RATIONALE_HEADER.strip()).strip()
    # Full-width letters and signs become plain ones: Ｂ，（Ｃ）.
    plain = unicodedata.normalize("NFKC", text)
    for rule, letters in _candidates(plain, texts):
        if letters and set(letters) <= set(texts):
            return Extracted(tuple(sorted(set(letters))), rule, rationale)
        if rule == "json":
            break
    return Extracted((), "unparsed", rationale)


def _candidates(text: str, options: Mapping[str, str]) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield what each rule reads, in order; nothing from those that do not fit."""
    said = _json_answer(text)
    if said is not None:
        yield "json", _value_letters(said, options)
    if found := _OPTION.findall(text):
        yield "option", _letters(found[-1])
    if stated := _last_stated(text):
        yield "stated", _letters(stated)
    stripped = text.strip()
    bare = _BARE.match(stripped) or _ALONE.match(stripped)
    if bare:
        yield "bare", _letters(bare[1])
    yield "text", _by_text(text, options)


def _letters(found: str) -> tuple[str, ...]:
    """Return the letters of "A, C", "A and C" or "ACD"; of joined ones only in their order."""
    upper = found.upper()
    if re.fullmatch(r"[A-J]{2,}", upper) and list(upper) != sorted(set(upper)):
        return ()  # a word: BED
    return tuple(re.findall(rf"(?<!{WORD})[A-J](?!{WORD})", upper)) or tuple(upper)


def _last_stated(text: str) -> str:
    """Return the letters of the last statement of an answer.

    Where a letter is a small one, only if it ends there: "the answer is a fever" names none.
    """
    for match in reversed([*STATED.finditer(text), *STATED_BEHIND.finditer(text)]):
        letters, behind = match["letters"], text[match.end("letters") :]
        if letters == letters.upper() or re.match(r"\s*(?:[.)\]\"';:,]|$|\n)", behind):
            return letters
    return ""


def _json_answer(text: str) -> Any:
    """Return the value of the last key of ``_KEYS``, from JSON or what is left of it; else None."""
    start, end = text.find("{"), text.rfind("}")
    if 0 <= start < end:
        try:
            said = json.loads(text[start : end + 1])
        except (ValueError, RecursionError):
            said = None
        if isinstance(said, dict):
            named = {str(key).casefold(): value for key, value in said.items()}
            values = [named[key] for key in _KEYS if key in named]
            if values:
                return values[-1] if values[-1] is not None else ""
    broken = re.findall(
        rf"\"(?:{'|'.join(_KEYS)})\"\s*:\s*(\[[^\]]*\]?|\"[^\"\n]*\"?|[A-Ja-j]\b)",
        text,
        re.IGNORECASE,
    )
    return broken[-1].strip('"') if broken else None


def _value_letters(value: Any, options: Mapping[str, str]) -> tuple[str, ...]:
    """Return the letters that a JSON value names: "B", "B. text", ["A", "C"], an option's text."""
    if isinstance(value, list):
        parts = [_value_letters(part, options) for part in value]
        return tuple(letter for part in parts for letter in part) if all(parts) else ()
    text = str(value).strip()
    alone = _ALONE.match(text) or _BARE.match(text)
    if alone:
        return _letters(alone[1])
    if found := _OPTION.findall(text):
        return _letters(found[-1])
    begun = re.match(rf"[\s(\[\"]*({LETTERS})[\s).:\]\",-]", text)
    if begun:
        return _letters(begun[1])
    return _by_text(text, options)


def _by_text(answer: str, options: Mapping[str, str]) -> tuple[str, ...]:
    """Return the letter of the option whose text the answer is, or alone has."""
    known = {letter: _normal(text) for letter, text in options.items() if _normal(text)}
    header = _HEADER.search(answer)
    said = answer[header.end() :].lstrip(": ") if header else answer
    for line in said.strip().splitlines():
        same = [letter for letter, text in known.items() if text == _normal(line)]
        if len(same) == 1:
            return (same[0],)
    if len(said) > _SHORT_ANSWER:
        return ()
    within = _normal(said)
    there = [letter for letter, text in known.items() if _holds(within, text)]
    # "Type 2 diabetes" also has "diabetes" in it: the longest counts.
    longest = [x for x in there if not any(x != y and known[x] in known[y] for y in there)]
    return tuple(longest) if len(longest) == 1 else ()


def _holds(text: str, part: str) -> bool:
    before, after = (rf"(?<!{WORD})", rf"(?!{WORD})")
    return re.search(before + re.escape(part) + after, text) is not None


def _normal(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", plain).strip(" .,:;!?\"'`*()[]。、，；：！？「」")
