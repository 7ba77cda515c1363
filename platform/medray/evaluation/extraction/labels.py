"""Finding named labels in a generated answer: one of yes, no, maybe; any of the hallmarks."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence

from medray.evaluation.extraction.phrases import WORD

# An answer that says that no label fits, in the six languages.
NONE = re.compile(
    r"^\W*(?:none|no (?:\w+ )?(?:labels?|hallmarks?|class(?:es)?|categor(?:y|ies))|not applicable"
    r"|n/?a|nothing|无|没有|なし|該当なし|aucune?|ninguna?|нет|ни одн\w+)\b",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"(?:answer|réponse|respuesta|ответ|答案|答え|回答|正解)\W*(?:is|est|es|это|是|は)?\W*",
    re.IGNORECASE,
)


def one_label(text: str, labels: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """Return the label that an answer gives, and the rule that found it.

    Rules, first fit wins: ``json`` (the only label in an object's values), ``begins`` (the answer
    begins with it), ``stated`` (it stands behind the last "answer is", "ответ:", ...), ``only``
    (no other label stands in the text). Else (), ``unparsed``. Case does not count.
    """
    known = {_plain(label): label for label in labels}
    plain = _plain(text).strip()
    said = _json_values(plain)
    candidates = [
        ("json", _the_only(said, known) if said else None),
        ("begins", _begins(plain, known)),
        ("stated", _begins(_behind_answer(plain), known)),
        ("only", _the_only(plain, known)),
    ]
    for rule, found in candidates:
        if found is not None:
            return (known[found],), rule
    return (), "unparsed"


def many_labels(text: str, labels: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """Return all labels that stand in an answer, in the order of ``labels``, and the rule.

    Rules: ``named``; ``none``: the answer says that none fits. Else (), ``unparsed``. A label
    inside a longer one that is there too is not counted ("immune" in "avoiding immune
    destruction").
    """
    plain = _plain(text)
    known = [(label, _plain(label)) for label in labels]
    rest = plain
    found = set()
    for label, name in sorted(known, key=lambda pair: -len(pair[1])):
        if name and _pattern(name).search(rest):
            found.add(label)
            rest = _pattern(name).sub(" ", rest)
    if found:
        return tuple(label for label, _ in known if label in found), "named"
    if NONE.match(plain) or plain.strip() in ("[]", '""'):
        return (), "none"
    return (), "unparsed"


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).casefold())


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!{WORD}){re.escape(name)}(?!{WORD})")


def _begins(text: str, known: Iterable[str]) -> str | None:
    begun = re.sub(r"^\W+", "", text)
    fits = [name for name in known if name and _pattern(name).match(begun)]
    return max(fits, key=len, default=None)


def _behind_answer(text: str) -> str:
    found: Sequence[re.Match[str]] = list(_ANSWER.finditer(text))
    return text[found[-1].end() :] if found else ""


def _the_only(text: str, known: Iterable[str]) -> str | None:
    there = [name for name in known if name and _pattern(name).search(text)]
    return there[0] if len(there) == 1 else None


def _json_values(text: str) -> str:
    """Return the values of a JSON object as one text; "" where the text is none."""
    start, end = text.find("{"), text.rfind("}")
    if not 0 <= start < end:
        return ""
    try:
        said = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return ""
    return " ".join(str(value) for value in said.values()) if isinstance(said, dict) else ""
