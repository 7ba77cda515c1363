"""Reading which of two answers a judge prefers, by named rules; what none can read is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Choice = Literal["first", "second", "tie"]
Mode = Literal["correct", "as-published"]

_LETTERS: dict[str, Choice] = {"a": "first", "b": "second", "c": "tie"}
_OPPOSITE: dict[Choice, Choice] = {"first": "second", "second": "first", "tie": "tie"}
_BRACKETS = re.compile(r"\[\[\s*([ABC])\s*\]\]", re.IGNORECASE)
# An answer as judges call it: Output (a), output A, Assistant B's answer, **Response (b)**.
_OPEN, _CLOSE = r"[\s*_`\"'“‘(\[]*", r"[\s*_`\"'”’)\]]*"
_NOUN = r"(?:output|assistant|answer|response|option|choice|model|candidate)"
_NAME = (
    rf"(?<!\w){_NOUN}s?{_OPEN}(?P<letter>[ab])(?!\w|['’][a-rt-z]){_CLOSE}"
    r"(?:['’]s\s+(?:answer|response|output)\s*)?"
)
# "Tied to the diet" and "untie" are none.
_TIE = r"(?<!\w)(?:tie(?!\w)|tied(?=\s*(?:[.,;!]|$)))"
_ADVERB = (
    r"(?:(?:the|a|an|much|far|slightly|clearly|somewhat|marginally|significantly|overall|also|"
    r"definitely|generally|considerably|probably|therefore|thus|ultimately|indeed|even|more)\s+)*"
)
_BE = r"(?:is|was|seems|appears\s+to\s+be|would\s+be|wins?\s+as|stands\s+out\s+as)\s+"
_BETTER = (
    r"(?:better|best|superior|preferable|preferred|stronger|winner|winning|favou?red|favou?rite)"
)
_WORSE = r"(?:worse|worst|inferior|weaker)(?!\w)"
_VERB = r"(?:prefer|choose|pick|select|favou?r|recommend|go\s+(?:with|for)|vote\s+for)\s+"
_SUBJECT = (
    r"(?:better|best|preferred|superior|winning|stronger|final|my|overall)\s+"
    r"(?:choice|output|answer|response|one|option|verdict|decision|preference|pick)|"
    r"verdict|winner|decision|preference|choice|answer"
)
# What a clause says, the earlier kinds first where they begin at the same place.
_STATEMENTS = (
    (
        "better",
        re.compile(
            rf"{_NAME}\s*(?:{_BE}{_ADVERB}{_BETTER}|wins\b|better\s+[a-z]+s\b|"
            rf"(?:provides|gives|offers|is)\s+{_ADVERB}{_BETTER}\s+(?:answer|response|output)\b)",
            re.IGNORECASE,
        ),
    ),
    ("worse", re.compile(rf"{_NAME}\s*{_BE}{_ADVERB}{_WORSE}", re.IGNORECASE)),
    ("better", re.compile(rf"(?<!\w){_VERB}(?:the\s+)?{_OPEN}{_NAME}", re.IGNORECASE)),
    (
        "better",
        re.compile(
            rf"(?<!\w)(?:{_SUBJECT})\s*(?:is|was|would\s+be|goes\s+to|:)\s*:?{_OPEN}(?:the\s+)?{_NAME}",
            re.IGNORECASE,
        ),
    ),
    (
        "tie",
        re.compile(
            rf"(?:(?<!\w)(?:it\s+is|it['’]s|is|be|call\s+it|declare|say|choose|answer|verdict|result|:)\s*:?"
            rf"{_OPEN}(?:a\s+|an?\s+)?{_TIE})|"
            r"(?<!\w)(?:both|the\s+two)\s+(?:\w+\s+){0,3}?(?:are|is|have)\s+(?:of\s+)?(?:\w+ly\s+)?"
            r"(?:equal|equally\s+good|equivalent|the\s+same\s+quality|equal\s+in\s+quality)(?!\w)",
            re.IGNORECASE,
        ),
    ),
)
_NEGATION = re.compile(
    r"(?<!\w)(?:not|never|neither|nor|no|cannot|without|if|whether|although|though|unless)(?!\w)|"
    r"n['’]t(?!\w)",
    re.IGNORECASE,
)
_NOT_SO = re.compile(r"^\s*(?:in\s+no|not)\b", re.IGNORECASE)
_CONCLUSION = re.compile(
    r"(?<!\w)(?:overall|therefore|thus|hence|in\s+conclusion|in\s+summary|to\s+conclude|finally|"
    r"ultimately|final|verdict)(?!\w)",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[^.;!?\n,]+[.;!?\n,]?")
_SENTENCE = re.compile(r"[^.;!?\n]+[.;!?\n]?")
_WHOLE = re.compile(
    rf"\W*(?:{_NAME}|(?P<bare>[ab])|(?P<tie>tie|it\s+is\s+a\s+tie|it['’]s\s+a\s+tie))\W*",
    re.IGNORECASE,
)
_BEGINS = re.compile(
    rf"[\s*_`\"'“‘]*(?:{_NAME}|(?P<tie>tie)(?!\w)[\s*_`\"'”’]*)"
    r"(?:[.;!—–-]|,?\s*(?:because|since|as\s+it)(?!\w))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Verdict:
    """``choice``: the preferred answer as shown, None where no rule fits; ``rule``: which did."""

    choice: Choice | None
    rule: str


UNPARSED = Verdict(None, "unparsed")


def read_verdict(text: str, mode: Mode = "correct") -> Verdict:
    """Read a judge's answer about a first (a) and a second (b) output.

    Rules, first fit wins:

    - ``brackets``: the last [[A]], [[B]] or [[C]], C a tie;
    - ``whole``: nothing but Output (a), Output (b) or Tie, in any case and with any sign around;
    - ``line``: such lines, all of one choice ("Output (a)" and then the reasons);
    - ``begins``: the name and a full stop, or "because";
    - ``stated``: "Output (a) is better", "I prefer Output (b)", "it is a tie", where all such
      statements agree, or the last of those that conclude ("overall", "therefore").

    Else ``unparsed``: two statements that differ, a refusal, reasons without a verdict. It is
    counted and never taken for a tie. ``as-published`` reads as AlpaCare's script does.
    """
    if mode == "as-published":
        return _as_published(text)
    if found := _BRACKETS.findall(text):
        return Verdict(_LETTERS[found[-1].casefold()], "brackets")
    if whole := _WHOLE.fullmatch(text):
        return Verdict(_choice(whole), "whole")
    if (line := _by_lines(text)) is not None:
        return Verdict(line, "line")
    if begins := _BEGINS.match(text):
        return Verdict(_choice(begins), "begins")
    stated = _stated(text)
    return Verdict(stated, "stated") if stated is not None else UNPARSED


def _as_published(text: str) -> Verdict:
    """Read as evaluation/evaulation.py of XZhang97666/AlpaCare does, defects included.

    All but ASCII letters and digits is taken out; what is left must be the name alone. Any other
    answer that has "Tie" in it is a tie ("Output (a) is better, no Tie"), the rest is not counted
    ("Output (a) is better"). The released code counts [[A]] and its like in no way: where such a
    verdict stands, the last one is read, as minhnguyent546/medical-llama2 does.
    """
    if found := re.findall(r"\[\[([ABC])\]\]", text):
        return Verdict(_LETTERS[found[-1].casefold()], "brackets")
    # The script puts the models' names here; these two stand for them.
    names: dict[str, Choice] = {"FIRSTnamed": "first", "SECONDnamed": "second"}
    first, second = names
    named = text.strip().replace("Output (a)", first).replace("Output (b)", second)
    plain = re.sub(r"[^a-zA-Z0-9]", "", named)
    if plain in names:
        return Verdict(names[plain], "whole")
    return Verdict("tie", "has Tie") if "Tie" in plain else UNPARSED


def _choice(match: re.Match[str]) -> Choice:
    groups = match.groupdict()
    if groups.get("tie"):
        return "tie"
    return _LETTERS[(groups.get("letter") or groups["bare"]).casefold()]


def _by_lines(text: str) -> Choice | None:
    """Return the choice of lines that are nothing but a name; a heading, "Output (a):", is none."""
    lines = [line.strip() for line in text.splitlines()]
    names = [m for line in lines if not line.rstrip("*_ ").endswith(":") if (m := _name_of(line))]
    choices = {_choice(name) for name in names}
    return choices.pop() if len(choices) == 1 else None


def _name_of(line: str) -> re.Match[str] | None:
    match = _WHOLE.fullmatch(line)
    # A letter alone on a line is as often a list's mark; a heading begins with #.
    return match if match and not match["bare"] and not line.startswith("#") else None


def _stated(text: str) -> Choice | None:
    """Return what the statements say: all the same, or the last one that concludes."""
    found: list[Choice] = []
    concluding: list[Choice] = []
    for sentence in _SENTENCE.findall(text):
        choices = list(_statements(sentence))
        found += choices
        if choices and _CONCLUSION.search(sentence):
            # "Overall, (a) is better in depth, but (b) is better in safety" concludes nothing.
            concluding.append(choices[-1]) if len(set(choices)) == 1 else concluding.clear()
    if len(set(found)) == 1:
        return found[0]
    return concluding[-1] if concluding else None


def _statements(sentence: str) -> Iterator[Choice]:
    """Yield what a sentence's clauses state; not a negated, conditional or asking one."""
    if sentence.rstrip().endswith("?"):
        return
    for clause in _CLAUSE.findall(sentence):
        first: tuple[int, str, re.Match[str]] | None = None
        for kind, pattern in _STATEMENTS:
            match = pattern.search(clause)
            if match and (first is None or match.start() < first[0]):
                first = (match.start(), kind, match)
        if first is None:
            continue
        start, kind, match = first
        if _NEGATION.search(clause, 0, start) or _NOT_SO.match(clause[match.end() :]):
            continue
        if kind == "tie":
            yield "tie"
        else:
            choice = _LETTERS[match["letter"].casefold()]
            yield choice if kind == "better" else _OPPOSITE[choice]
