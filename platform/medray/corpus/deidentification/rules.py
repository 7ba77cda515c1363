"""All rules: which word or sign starts which search.

One pass of an automaton finds every label, mark and "@"; one regular expression finds the runs of
digits. All that follows looks at a bounded stretch around a find, so time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial

import ahocorasick_rs

from medray.corpus.deidentification import addresses, dates, labelled, names, telephones
from medray.corpus.deidentification.checksums import SHAPES
from medray.corpus.deidentification.emails import email_around
from medray.corpus.deidentification.page import Page, is_cased
from medray.corpus.deidentification.spans import Kind, Span

Finder = Callable[[Page, int, int], Iterator[Span]]
Rule = tuple[Iterable[str], Kind, Finder]

# Fewer than seven digits are nothing that a form alone would tell: a NIE has seven, a DNI eight.
_RUN = re.compile(r"[0-9](?:[ .()|/-]{0,2}+(?:[ABab](?=[ ]?[0-9])[ ]?)?+[0-9]){6,}+")
_CONTEXT_CHARACTERS = 48
# Numbers of publications, trials, medicines, genes and samples: never personal.
_REFERENCE = re.compile(
    r"(?:\b(?:pm(?:c?id|c)|doi|nct|isrctn|isbn|issn|ndc|gtin|eudract|euctr|actrn|chictr|umin|jrct|"
    r"drks|ctri|gse|grants?|patent|cas|rrid|omim|atc|lot|ref|cat|catalog(?:ue)?|accession|n ?=|"
    r"p ?[=<])"
    r"|批号|注册号|基金|国药准字|资助号|批准文号)"
    r"[^\w\n]{0,3}(?:no\.?|number|id)?[^\w\n]{0,2}[a-z]{0,6}[^\w\n]{0,2}$"
)
_REFERENCE_CHARACTERS = 32
_LINK = re.compile(r"(?:https?://|www\.|10\.[0-9]{4,9}/)\S*$")
_LINK_CHARACTERS = 100


def _number_rules() -> Iterator[Rule]:
    yield ("@",), "EMAIL", email_around
    for words, must_exist in (
        (telephones.TELEPHONE_LABELS, False),
        (telephones.WEAK_TELEPHONE_LABELS, True),
    ):
        finder = partial(telephones.labelled_telephones, must_exist=must_exist)
        yield words, "TELEPHONE", finder
    numbers: tuple[tuple[tuple[str, ...], Kind, int], ...] = (
        (labelled.NATIONAL_LABELS, "NATIONAL_ID", 7),
        (labelled.FRENCH_LABELS, "NATIONAL_ID", 12),  # 13, or 12 and a letter for Corsica
        (labelled.SHORT_NATIONAL_LABELS, "NATIONAL_ID", 6),
        (labelled.MEDICARE_LABELS, "NATIONAL_ID", 5),
        (labelled.STRONG_RECORD_LABELS, "RECORD_NUMBER", 3),
        (labelled.RECORD_LABELS, "RECORD_NUMBER", 5),
        (labelled.ACCOUNT_LABELS, "ACCOUNT_NUMBER", 8),
        (labelled.IP_LABELS, "IP_ADDRESS", 4),
    )
    for labels, kind, digits in numbers:
        yield labels, kind, partial(labelled.labelled_number, kind=kind, digits=digits)
    yield labelled.SPANISH_LABELS, "NATIONAL_ID", labelled.spanish_insurance
    yield dates.BIRTH_LABELS, "BIRTH_DATE", dates.birth_date_after
    yield dates.BIRTH_VERBS, "BIRTH_DATE", dates.birth_date_after
    yield dates.BIRTH_MARKS, "BIRTH_DATE", dates.birth_date_before


def _name_rules() -> Iterator[Rule]:
    yield names.STRONG_NAME_LABELS, "NAME", partial(names.western_name, strong=True)
    yield names.WEAK_NAME_LABELS, "NAME", partial(names.western_name, strong=False)
    yield names.RUSSIAN_PATIENT, "NAME", names.russian_patient
    yield names.CHINESE_LABELS, "NAME", names.chinese_name
    yield names.CHINESE_PATIENT, "NAME", names.chinese_patient
    yield names.JAPANESE_LABELS, "NAME", names.japanese_name


def _address_rules() -> Iterator[Rule]:
    yield addresses.ENGLISH_STREETS, "ADDRESS", addresses.english_street
    yield ("p.o. box", "po box", "post office box"), "ADDRESS", addresses.post_box
    yield addresses.FRENCH_STREETS, "ADDRESS", addresses.french_street
    yield addresses.SPANISH_STREETS, "ADDRESS", addresses.spanish_street
    yield addresses.RUSSIAN_STREETS, "ADDRESS", addresses.russian_street
    yield addresses.CHINESE_HOUSES, "ADDRESS", addresses.chinese_house
    yield addresses.JAPANESE_PREFECTURES, "ADDRESS", addresses.japanese_prefecture
    yield addresses.JAPANESE_BLOCKS, "ADDRESS", addresses.japanese_block
    yield ("〒",), "ADDRESS", addresses.japanese_postcode
    yield addresses.HOME_LABELS, "ADDRESS", partial(addresses.labelled_address, home=True)
    yield addresses.ADDRESS_LABELS, "ADDRESS", partial(addresses.labelled_address, home=False)
    yield addresses.HAN_ADDRESS_LABELS, "ADDRESS", addresses.labelled_han_address


@cache
def _anchors(
    kinds: frozenset[Kind],
) -> tuple[ahocorasick_rs.AhoCorasick, tuple[tuple[Finder, ...], ...]]:
    """Return the automaton over all anchors and, anchor by anchor, the searches that it starts."""
    table: dict[str, list[Finder]] = {}
    for rules in (_number_rules(), _name_rules(), _address_rules()):
        for anchors, kind, finder in rules:
            for anchor in anchors if kind in kinds else ():
                finders = table.setdefault(anchor.lower(), [])
                if finder not in finders:
                    finders.append(finder)
    automaton = ahocorasick_rs.AhoCorasick(
        list(table) or ["\0"],
        matchkind=ahocorasick_rs.MatchKind.LeftmostLongest,
        implementation=ahocorasick_rs.Implementation.DFA,
    )
    return automaton, tuple(map(tuple, table.values())) or ((),)


def anchored_spans(page: Page, kinds: frozenset[Kind]) -> Iterator[Span]:
    """Yield what the searches find that a label, a mark or an "@" starts."""
    automaton, finders = _anchors(kinds)
    text = page.folded
    for number, start, end in automaton.find_matches_as_indexes(text):
        # No part of a longer word; Han and kana have no borders to ask for.
        if start > 0 and is_cased(text[start]) and is_cased(text[start - 1]):
            continue
        if end < len(text) and is_cased(text[end - 1]) and is_cased(text[end]):
            continue
        for finder in finders[number]:
            yield from finder(page, start, end)


def numeric_spans(page: Page, kinds: frozenset[Kind]) -> Iterator[Span]:
    """Yield the numbers that their own form tells, or their form and a word near."""
    for run in _RUN.finditer(page.text):
        start, end = run.span()
        if _is_reference(page, start):
            continue
        if "TELEPHONE" in kinds:
            yield from telephones.unlabelled_telephones(page, start, end)
        for shape in SHAPES:
            if shape.kind not in kinds:
                continue
            own = shape.languages is None or page.language in shape.languages
            if not own:
                continue
            first, last = max(0, start - 6), min(len(page.text), end + 6)
            for found in shape.pattern.finditer(page.text, first, last):
                near = page.folded[max(0, found.start() - _CONTEXT_CHARACTERS) : found.start()]
                if shape.context is not None and not shape.context.search(near):
                    continue
                if shape.is_valid(found[0]):
                    yield Span(shape.kind, found.start(), found.end())


def _is_reference(page: Page, start: int) -> bool:
    """Say whether a number belongs to a publication, a trial, a product or a link."""
    if _REFERENCE.search(page.folded, max(0, start - _REFERENCE_CHARACTERS), start):
        return True
    return bool(_LINK.search(page.folded, max(0, start - _LINK_CHARACTERS), start))
