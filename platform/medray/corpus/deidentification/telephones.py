"""Telephone numbers: written so that they can be known, near a word that tells, or labelled.

Which numbers exist is Google's libphonenumber's knowledge (phonenumbers).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import phonenumbers

from medray.corpus.deidentification.checksums import FENCE_AFTER, FENCE_BEFORE
from medray.corpus.deidentification.page import Page
from medray.corpus.deidentification.spans import Span
from medray.languages import Code

# The countries whose national forms are looked for in a text of each language.
TELEPHONE_REGIONS: Mapping[Code, tuple[str, ...]] = {
    "en": ("US", "GB", "CA", "AU", "IE"),
    "zh": ("CN", "TW", "HK"),
    "ja": ("JP",),
    "fr": ("FR", "BE", "CH", "CA"),
    "ru": ("RU", "BY", "KZ"),
    "es": ("ES", "MX", "AR", "CO", "CL", "PE"),
}

_EXTENSION = r"(?:,? ?(?:ext\.?|x|доб\.?|poste|内線|分机|转) ?[0-9]{1,6})?"
# ITU-T E.164: at most 15 digits after the plus sign.
_INTERNATIONAL = re.compile(r"(?<![0-9A-Za-z+])(?:\+ ?|00 ?)[1-9](?:[ .()/-]{0,2}[0-9]){6,15}")

# Written so by telephones alone, whatever the text's language: no look-up.
_ANYWHERE = r"\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[-. ][0-9]{4}"
_OWN_FORMS: Mapping[Code, str] = {
    "en": r"(?:1[-.])?[2-9][0-9]{2}-[2-9][0-9]{2}-[0-9]{4}",
    "zh": r"1[3-9][0-9]-[0-9]{4}-?[0-9]{4}|[48]00-[0-9]{3}-[0-9]{4}",
    "ja": r"0[5789]0-[0-9]{4}-[0-9]{4}|0120-[0-9]{2,3}-[0-9]{3,4}",
    "fr": r"0[1-9]([ .-])[0-9]{2}\1[0-9]{2}\1[0-9]{2}\1[0-9]{2}",
    "ru": r"(?:[78][ -]?)?\([3489][0-9]{2,4}\)[ -]?[0-9]{1,3}-[0-9]{2}-[0-9]{2}"
    r"|8[ -][3489][0-9]{2}[ -][0-9]{3}[ -][0-9]{2}[ -]?[0-9]{2}",
    "es": r"[679][0-9]{2}([ -])[0-9]{2}\1[0-9]{2}\1[0-9]{2}",
}
# Other things are written so too: these must be numbers that exist in the language's countries.
_CHECKED_FORMS: Mapping[Code, str] = {
    "en": r"(?:1[ .])?[2-9][0-9]{2}\.[2-9][0-9]{2}\.[0-9]{4}"
    r"|\(?0[1-9][0-9]{1,4}\)? [0-9]{3,4}(?: [0-9]{3,4}|[0-9]{2,3})?",
    "zh": r"\(?0(?:10|2[0-9]|[3-9][0-9]{2})\)?[- ]?[0-9]{4}[- ]?[0-9]{3,4}"
    r"|1[3-9][0-9] ?[0-9]{4} ?[0-9]{4}|0[2-8][0-9]?-[0-9]{3,4}-[0-9]{4}",
    "ja": r"\(?0[0-9]{1,4}\)?[- (]?[0-9]{1,4}[-) ][0-9]{3,4}|0[5789]0[0-9]{8}",
    "fr": r"0[1-9][0-9]{8}|0[1-9][0-9]{1,2}[ /][0-9]{2,3}[ .][0-9]{2}[ .][0-9]{2}",
    "ru": r"8[3489][0-9]{9}",
    "es": r"9[1-8] [0-9]{3} [0-9]{2} [0-9]{2}|\([1-9][0-9]{1,3}\) ?[0-9]{3,4}[ -][0-9]{4}",
}
# A word within the 40 characters before, so that plain groups of digits may be a telephone.
_NEAR = re.compile(
    r"\b(?:tele?phone|phone|tel|fax|call|mobile|whatsapp|hotline|helpline|pager)\b"
    r"|t[ée]l[ée]|portable|appel|joindre|tel[ée]f|m[óo]vil|celular|llam"
    r"|телефон|\bтел\b|моб\.|звон|факс|电话|電話|手机|手機|热线|拨打|传真|微信|携帯|連絡先"
)
_PLAIN = re.compile(
    FENCE_BEFORE + r"(?:\([0-9]{1,5}\) ?|[0-9]{2,4}/)?[0-9](?:[ .-]{0,2}[0-9]){5,12}" + FENCE_AFTER
)
_NEAR_CHARACTERS = 40

TELEPHONE_LABELS = (
    "telephone number", "telephone", "phone number", "phone", "tel", "mobile phone", "cell phone",
    "cellphone", "fax", "home phone", "work phone", "emergency contact", "contact number",
    "whatsapp", "pager", "numéro de téléphone", "téléphone", "telephone", "tél",
    "télécopie", "teléfono de contacto", "teléfono móvil", "teléfono", "telefono", "tlf", "tfno",
    "телефон", "тел", "моб", "факс", "контактный телефон", "номер телефона",
    "联系电话", "联系方式", "电话号码", "手机号码", "手机号", "手机", "电话", "传真", "聯絡電話",
    "手機", "電話番号", "電話", "携帯電話", "携帯番号", "携帯", "連絡先", "ファックス", "ファクス",
)  # fmt: skip
# Said of other things too ("T cell: 1.200.000"): what follows must be a number that exists.
WEAK_TELEPHONE_LABELS = (
    "mobile", "cell", "portable", "móvil", "celular", "cel", "contact", "contacto",
)  # fmt: skip
_LABEL_TAIL = re.compile(
    r"\.?[ ]?(?:(?:number|no|n°|nº|№)[.]?[ ]?)?(?:\([^()\n]{1,16}\)[ ]?)?[*_]{0,2}"
    r"[ ]{0,3}[:：=.|\t]?[*_]{0,2}[ ]{0,3}\n?(?=[+(0-9])"
)
_LABELLED = re.compile(r"\+?[ ]?\(?[0-9](?:[ .()/-]{0,2}[0-9]){5,16}" + _EXTENSION)
_ANOTHER = re.compile(r"[ ]{0,2}(?:[,/;、，；]|or|ou|o|или|或|и|y|et|and)[ ]{0,2}(?=[+(0-9])")


@cache
def _own_form(language: Code) -> re.Pattern[str]:
    body = f"{_OWN_FORMS[language]}|{_ANYWHERE}"
    return re.compile(f"{FENCE_BEFORE}(?:{body}){_EXTENSION}{FENCE_AFTER}")


@cache
def _checked_form(language: Code) -> re.Pattern[str]:
    return re.compile(f"{FENCE_BEFORE}(?:{_CHECKED_FORMS[language]}){FENCE_AFTER}")


def unlabelled_telephones(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield the telephones in a run of digits [start, end) that no label marks."""
    first, last = max(0, start - 3), min(len(page.text), end + 10)
    for found in _INTERNATIONAL.finditer(page.text, first, last):
        length = _valid_length(found[0], ("ZZ",))
        if length:
            yield Span("TELEPHONE", found.start(), found.start() + length)
    for found in _own_form(page.language).finditer(page.text, first, last):
        yield Span("TELEPHONE", found.start(), found.end())
    for found in _checked_form(page.language).finditer(page.text, first, last):
        if _exists(found[0], page.regions):
            yield Span("TELEPHONE", found.start(), found.end())
    for found in _PLAIN.finditer(page.text, first, last):
        near = page.folded[max(0, found.start() - _NEAR_CHARACTERS) : found.start()]
        if _NEAR.search(near) and _exists(found[0], page.regions):
            yield Span("TELEPHONE", found.start(), found.end())


def labelled_telephones(page: Page, start: int, end: int, must_exist: bool) -> Iterator[Span]:
    """Yield the number after a label and the further ones after it.

    ``must_exist``: only if it is a number of the language's countries or an international one.
    """
    tail = _LABEL_TAIL.match(page.folded, end, end + 40)
    while tail:
        found = _LABELLED.match(page.text, tail.end(), tail.end() + 50)
        if not found:
            return
        length = _valid_length(found[0], page.regions)
        # "T cell: 1 200 000": seven digits are a number in some country or other.
        if must_exist and sum(map(str.isdigit, found[0][:length])) < 8:
            return
        length = length or len(found[0])
        yield Span("TELEPHONE", found.start(), found.start() + length)
        end = found.start() + length
        tail = _ANOTHER.match(page.folded, end, end + 8)


def _valid_length(written: str, regions: Sequence[str]) -> int:
    """Return the length of the longest start of ``written``, whole groups, that exists; or 0."""
    cuts = [len(written), *(cut.start() for cut in re.finditer(r"[ .()/-]+", written))]
    for cut in sorted(cuts, reverse=True):
        if cut >= 7 and _exists(written[:cut], regions):
            return cut
    return 0


def _exists(written: str, regions: Sequence[str]) -> bool:
    """Say whether a number exists in one of the regions, or with its country code anywhere."""
    if written.startswith("00"):
        written = "+" + written[2:].lstrip()
    if not any(character in "123456789" for character in written):
        return False
    for region in regions:
        try:
            number = phonenumbers.parse(written, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return True
    return False
