"""Numbers with a checksum: which are written so that they can be known without a label.

The rules of each number are python-stdnum's; SNILS is the one that it lacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from stdnum import iban, luhn
from stdnum.cn import ric
from stdnum.es import dni, nie
from stdnum.exceptions import ValidationError
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.jp import in_ as my_number
from stdnum.ru import inn
from stdnum.us import ssn

from medray.corpus.deidentification.spans import Kind
from medray.languages import Code

# Not inside a longer number or word: no digit, letter, or digit joined by a sign on either side.
FENCE_BEFORE = r"(?<![0-9A-Za-z_])(?<![0-9][-./,])(?<![0-9A-Za-z][-/])"
FENCE_AFTER = r"(?![0-9A-Za-z_])(?![-./,][0-9])"


@dataclass(frozen=True)
class Shape:
    """A way to write a number, the check that it must pass, and the words that must stand near.

    ``languages``: in texts of which languages the shape is known without a word near; None: all.
    ``context``: pattern of a word that must stand within the 48 characters before; None: none.
    """

    kind: Kind
    pattern: re.Pattern[str]
    is_valid: Callable[[str], bool]
    languages: tuple[Code, ...] | None = None
    context: re.Pattern[str] | None = None


def is_valid_snils(number: str) -> bool:
    """Check a SNILS, nine digits and two check digits.

    The sum of digit times place from the right (9 to 1), modulo 101, where 100 counts as 00;
    numbers up to 001-001-998 carry no checksum. Source: order of the Pension Fund of Russia of
    22.06.2004 N 192p, appendix; now the Social Fund's rule.
    """
    digits = re.sub(r"[ -]", "", number)
    if len(digits) != 11 or not digits.isascii() or not digits.isdigit():
        return False
    body = digits[:9]
    if int(body) <= 1001998:
        return False
    total = sum(int(digit) * (9 - place) for place, digit in enumerate(body))
    return total % 101 % 100 == int(digits[9:])


def is_valid_identity_card(number: str) -> bool:
    """Check a Chinese resident identity number: its date and its check character.

    Not the county: python-stdnum asks that it existed in the year of birth, yet who was born in
    1970 may have been registered in a district founded in 1992.
    """
    number = number.replace(" ", "").upper()
    try:
        ric.get_birth_date(number)
    except ValidationError:
        return False
    return bool(ric.calc_check_digit(number) == number[-1])


def _is_valid_dni(number: str) -> bool:
    return bool(dni.is_valid(number.replace(".", "")))


def _is_card(number: str) -> bool:
    """Luhn (ISO/IEC 7812-1) and a first digit that payment cards have: 3 to 6, or 2 (22-27)."""
    digits = re.sub(r"[ -]", "", number)
    return bool(re.match(r"[3-6]|2[2-7]", digits)) and bool(luhn.is_valid(digits))


def _pattern(body: str) -> re.Pattern[str]:
    return re.compile(FENCE_BEFORE + f"(?:{body})" + FENCE_AFTER)


def _words(body: str) -> re.Pattern[str]:
    return re.compile(body)


# First two digits of GB/T 2260: the provinces.
_PROVINCE = "(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])"
_NATIONAL: Kind = "NATIONAL_ID"
_DNI = _pattern(r"[0-9]{8}[ -]?[A-Z]|[0-9]{2}\.[0-9]{3}\.[0-9]{3}[ -]?[A-Z]")
_NIE = _pattern(r"[XYZ][ -]?[0-9]{7}[ -]?[A-Z]")
_SPANISH_WORDS = _words(r"\b(?:dni|d\.n\.i|nif|nie|documento|identi(?:dad|ty))\b")

SHAPES = (
    # China, resident identity card, GB 11643-1999: place, date of birth, serial, mod 11-2.
    Shape(
        _NATIONAL,
        _pattern(
            _PROVINCE + "[0-9]{4} ?(?:19|20)[0-9]{2}[01][0-9][0-3][0-9] ?[0-9]{3}[0-9Xx]",
        ),
        is_valid_identity_card,
    ),
    # France, NIR: sex, year, month (with INSEE's codes for unknown months), place, order, 97 - n.
    Shape(
        _NATIONAL,
        _pattern(
            r"[1-478] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|20|3[0-9]|4[0-2]|[5-9][0-9]) ?"
            r"(?:[0-9]{2}|2[ABab]) ?[0-9]{3} ?[0-9]{3} ?(?:[|/] ?)?[0-9]{2}"
        ),
        lambda number: bool(nir.is_valid(re.sub("[ |/]", "", number))),
    ),
    # Spain, DNI and NIE: one of 23 letters, so only where the text is Spanish or a word is near.
    Shape(_NATIONAL, _DNI, _is_valid_dni, languages=("es",)),
    Shape(_NATIONAL, _NIE, nie.is_valid, languages=("es",)),
    Shape(_NATIONAL, _DNI, _is_valid_dni, context=_SPANISH_WORDS),
    Shape(_NATIONAL, _NIE, nie.is_valid, context=_SPANISH_WORDS),
    # USA, SSN: no checksum, but rules for each group and a form with hyphens that is its own.
    Shape(_NATIONAL, _pattern(r"[0-9]{3}-[0-9]{2}-[0-9]{4}"), ssn.is_valid),
    # Russia, SNILS in its official form; without signs it needs the word.
    Shape(_NATIONAL, _pattern(r"[0-9]{3}-[0-9]{3}-[0-9]{3}[ -][0-9]{2}"), is_valid_snils),
    Shape(
        _NATIONAL,
        _pattern(r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{2}"),
        is_valid_snils,
        context=_words(r"снилс|страхов|snils"),
    ),
    # One of 11 (10 digits) or 121 (12 digits) numbers passes by chance: the word must be near.
    Shape(
        _NATIONAL, _pattern("[0-9]{10}|[0-9]{12}"), inn.is_valid, context=_words(r"\bинн\b|\binn\b")
    ),
    Shape(
        _NATIONAL,
        _pattern(r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}"),
        my_number.is_valid,
        context=_words("マイナンバー|個人番号|my ?number"),
    ),
    Shape(
        _NATIONAL,
        _pattern(r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}"),
        nhs.is_valid,
        context=_words(r"\bnhs\b"),
    ),
    # IBAN, ISO 13616: country's length and mod 97.
    Shape(
        "ACCOUNT_NUMBER",
        _pattern(r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?"),
        iban.is_valid,
    ),
    Shape(
        "ACCOUNT_NUMBER",
        _pattern(
            r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|3[47][0-9]{2}([ -])[0-9]{6}\2[0-9]{5}"
        ),
        _is_card,
    ),
    Shape(
        "ACCOUNT_NUMBER",
        _pattern("[0-9]{13,19}"),
        _is_card,
        context=_words(r"card|visa|carte|tarjeta|карт|卡|カード"),
    ),
)
