"""Dates as notes in six languages write them; only those marked as a date of birth are tagged."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medray.corpus.deidentification.page import Page
from medray.corpus.deidentification.spans import Span

# Longest first, so that "mar" does not stand for "march"; Russian in the genitive, as in dates.
_MONTH = (
    "(?:septiembre|diciembre|noviembre|september|septembre|setiembre|december|decembre|décembre|"
    "february|november|novembre|сентября|febrero|fevrier|février|january|janvier|juillet|"
    "october|octobre|octubre|августа|декабря|октября|февраля|agosto|august|апреля|ноября|"
    "января|abril|april|avril|enero|julio|junio|march|marzo|марта|aout|août|févr|janv|juil|"
    "juin|july|june|mars|mayo|sept|июля|июня|abr|ago|apr|aug|avr|dec|dic|déc|ene|feb|fév|jan|"
    "jul|jun|mai|mar|may|nov|oct|sep|мая)"
)
_DAY = r"[0-3]?[0-9]"
_YEAR = r"(?:1[89]|20)[0-9]{2}"
_HAN_DIGIT = "[〇零一二三四五六七八九]"
_HAN_NUMBER = "[一二三四五六七八九十廿]{1,3}"
_FORMS = (
    rf"{_YEAR} ?[-/.年] ?[01]?[0-9](?: ?[-/.月] ?{_DAY} ?日?|月)",
    rf"{_DAY} ?[-/. ] ?[01]?[0-9] ?[-/. ] ?(?:{_YEAR}|[0-9]{{2}}(?![0-9]))",
    rf"{_DAY}(?:st|nd|rd|th|er|º|°)?[ .,-]{{0,2}}(?:of |de )?{_MONTH}[ .,-]{{1,2}}(?:del? )?"
    rf"(?:{_YEAR}|[0-9]{{2}}(?![0-9]))",
    rf"{_MONTH}\.? (?:{_DAY}(?:st|nd|rd|th)?,? )?(?:de )?{_YEAR}",
    # Japanese eras, named or by letter (M, T, S, H, R), years of an era from 1 ("元").
    r"(?:明治|大正|昭和|平成|令和|\b[mtshr]\.?) ?(?:[0-9]{1,2}|元) ?[年./-] ?"
    rf"[01]?[0-9] ?[月./-] ?{_DAY} ?日?",
    rf"{_HAN_DIGIT}{{4}}年{_HAN_NUMBER}月(?:{_HAN_NUMBER}[日号])?",
)
_DATE = f"(?:{'|'.join(_FORMS)})"
# 19650312 is a date only where a label says so.
_AFTER_LABEL = re.compile(rf"(?:{_DATE}|{_YEAR}[01][0-9][0-3][0-9](?![0-9]))(?: ?(?:г\.|года?\b))?")
_BEFORE_MARK = re.compile(rf"(?<![0-9]){_DATE} ?(?:г\.|года)?[ ]?$")

_LABEL_TAIL = re.compile(
    r"(?:[ ]?\((?:[dmyjahgд./ -]{2,12}|dob)\))?[*_]{0,2}[ ]{0,3}[:：=|\t-]?[*_]{0,2}"
    r"[ ]{0,3}\n?[ ]{0,3}"
)
_LONGEST = 40  # "the 12th of September, 1965" is 27 characters

# "D. of B." and "F.N." are left out: they are mostly initials of something else.
BIRTH_LABELS = (
    "date of birth", "birth date", "birthdate", "birthday", "dob", "d.o.b.", "d.o.b",
    "date de naissance", "né(e) le", "ddn", "d.d.n.", "fecha de nacimiento", "fecha nacimiento",
    "fecha de nac.", "fecha nac.", "f. nac.", "f. nac", "f. nacimiento", "f.nac.", "f.nac",
    "fdn", "nacido/a el",
    "дата рождения", "дата рожд.", "д.р.", "д/р", "год рождения", "出生日期", "出生年月日",
    "出生年月", "出生时间", "出生時間", "生日", "生年月日", "誕生日",
)  # fmt: skip
# What a biography says too, so that it does not make a text a patient's record.
BIRTH_VERBS = (
    "born on", "born", "né le", "née le", "nacido el", "nacida el", "nació el", "родился",
    "родилась", "出生于", "生于",
)  # fmt: skip
BIRTH_MARKS = ("г.р.", "г. р.", "года рождения", "г. рождения", "г.рожд", "出生", "生まれ", "日生")


def birth_date_after(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield the date after a label that ends at ``end``."""
    tail = _LABEL_TAIL.match(page.folded, end, end + 24)
    place = tail.end() if tail else end
    date = _AFTER_LABEL.match(page.folded, place, place + _LONGEST)
    if date and not page.folded[date.end() : date.end() + 1].isdigit():
        yield Span("BIRTH_DATE", date.start(), date.end())


def is_form_field(page: Page, span: Span) -> bool:
    """Say whether a date of birth stands after a form's label rather than in a biography."""
    before = page.folded[max(0, span.start - _LONGEST) : span.start]
    return any(label in before for label in BIRTH_LABELS)


def birth_date_before(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield the date before a mark such as "г.р." or "生まれ" that starts at ``start``."""
    if page.folded.startswith("日生", start):
        start += 1
    date = _BEFORE_MARK.search(page.folded, max(0, start - _LONGEST), start)
    if date:
        yield Span("BIRTH_DATE", date.start(), len(page.folded[: date.end()].rstrip()))
