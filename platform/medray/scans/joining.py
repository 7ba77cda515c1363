"""Rows of a paragraph -> its text: blanks, hyphens at line ends, spaces that recognition lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from medray.languages import language
from medray.scans.boxes import Row

# Han, kana, full-width forms and CJK punctuation: no blank stands between two of these.
_WIDE = r"[　-〿぀-ヿ㐀-䶿一-鿿豈-﫿＀-￯]"
_BLANK_BETWEEN_WIDE = re.compile(rf"(?<={_WIDE})\s+(?={_WIDE})")
_SENTENCE_END = re.compile(r"[.!?:。！？：…．][\"'’”»)\]）」』]*$")
_LINE_END_HYPHEN = re.compile(r"(?:^|(?<=[\s(«“\"'’/—-]))([^\W_][\w'’-]*?)[-‐\u00ad]$")
_FIRST_WORD = re.compile(r"[^\W_]+")
_WORD = re.compile(r"[^\W\d_][\w'’]*(?:[-‐][\w'’]+)*")
# "fever,cough" and "fever.The" lost a blank; "e.g.", "U.S.", "2,5" and "ph.d" did not.
_LOST_BLANK = re.compile(
    r"(?<=[^\W\d_])([,;!?])(?=[^\W\d_])|(?<=[a-zà-öø-ÿа-яё]{2})([.:])(?=[A-ZÀ-ÖØ-ÞА-ЯЁ])"
)
_ADDRESS = re.compile(r"\S*(?://|www\.|@)\S*")


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


# Hyphens that stay when the line ends at them, by the part after the hyphen ...
_KEEPS_HYPHEN_BEFORE: dict[str, frozenset[str]] = {
    "en": _words(
        "term based related induced dependent associated specific resistant threatening risk dose "
        "line up grade onset acting free year old borne mediated controlled blind"
    ),
    "fr": _words("il elle on ils elles vous moi toi lui leur même mêmes"),
    "ru": _words("то либо нибудь ка таки"),
}
# ... and by the part before it. `non` and `co` are not here: nonsense, correct.
_KEEPS_HYPHEN_AFTER: dict[str, frozenset[str]] = {
    "en": _words("well self long short high low half cross follow double x"),
    "fr": _words("celui celle ceux celles peut rendez après avant demi mi grand semi"),
    "ru": _words("кое из во в по медико северо юго"),
    "es": _words("médico teórico"),
}


def words_of(texts: Iterable[str]) -> frozenset[str]:
    """Return the words that stand whole inside the page's lines, small-lettered.

    The last word of a line is left out: it may be the half of one.
    """
    words: set[str] = set()
    for text in texts:
        words.update(word.lower() for word in _WORD.findall(text.rsplit(maxsplit=1)[0]))
    return frozenset(words)


def end_of_sentence(text: str) -> bool:
    """Say whether a row ends where a sentence may end, closing quotes and brackets included."""
    return _SENTENCE_END.search(text) is not None


def text_of_row(row: Row, language_code: str) -> str:
    """Return one row's text, its boxes joined and its lost blanks put back."""
    text = row.boxes[0].text
    for box in row.boxes[1:]:
        text = f"{text}{_blank(text, box.text, language_code)}{box.text}"
    if language(language_code).spaced:
        return _with_lost_blanks(text)
    return _BLANK_BETWEEN_WIDE.sub("", text)


def join_rows(rows: Sequence[str], language_code: str, words: frozenset[str]) -> str:
    """Join a paragraph's rows; ``words`` (of ``words_of``) decide which hyphens are true ones."""
    text = rows[0]
    for row in rows[1:]:
        cut = _LINE_END_HYPHEN.search(text) if language(language_code).spaced else None
        first = _FIRST_WORD.match(row)
        if cut is None or first is None:
            text = f"{text}{_blank(text, row, language_code)}{row}"
        elif _is_true_hyphen(cut[1], first[0], language_code, words):
            text = f"{text[:-1]}-{row}"
        else:
            text = f"{text[:-1]}{row}"
    return text


def _is_true_hyphen(before: str, after: str, language_code: str, words: frozenset[str]) -> bool:
    """Decide whether ``before-after``, cut at a line end, is written with its hyphen anywhere."""
    if f"{before}-{after}".lower() in words:
        return True
    if f"{before}{after}".lower() in words:
        return False
    if not after[0].islower() or before[-1].isdigit():  # Guillain-Barré, COX-2, 10-year
        return True
    last_part = re.split(r"[-'’]", before)[-1].lower()
    return (
        after.lower() in _KEEPS_HYPHEN_BEFORE.get(language_code, frozenset())
        and (len(last_part) > 2 or "-" in before)  # not unrelated, independent, d'exil
    ) or last_part in _KEEPS_HYPHEN_AFTER.get(language_code, frozenset())


def _blank(before: str, after: str, language_code: str) -> str:
    """Return what stands between two pieces: a blank, or nothing beside a wide character."""
    if language(language_code).spaced:
        return " "
    return " " if before[-1].isascii() and after[0].isascii() else ""


def _with_lost_blanks(text: str) -> str:
    """Put the blank back after punctuation, except inside web and mail addresses."""
    pieces = []
    position = 0
    for address in _ADDRESS.finditer(text):
        pieces += [_LOST_BLANK.sub(r"\g<0> ", text[position : address.start()]), address[0]]
        position = address.end()
    return "".join([*pieces, _LOST_BLANK.sub(r"\g<0> ", text[position:])])
