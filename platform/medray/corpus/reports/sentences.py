"""Cutting a text into sentences, in the six languages, by rules that can be read.

1. A line break ends a sentence.
2. The full-width marks 。！？ end one, with the closing quotes and brackets after them, unless the
   quoted speech goes on inside its sentence (「はい。」と, “好。”，).
3. The marks . ! ? … end one, with the closing quotes and brackets after them, where a blank or
   the text's end follows and the next word does not begin with a small letter. A point inside
   3.5 or example.org has no blank behind it.
4. A single point does not end one after an abbreviation of the language (Dr., p. ej., д-р), after
   one that announces a number before a number (Fig. 3, рис. 2), after an initial (J. Smith,
   И. П. Павлов) or after a number that opens its line (1. Introduction). Behind a number it does:
   there the abbreviation is a unit (37 C. The, в 2020 г. Больной).

An abbreviation that does end a sentence joins it with the next: the two are then judged as one.
"""

from __future__ import annotations

import re

Span = tuple[int, int]

# Titles and the like, after which a name or an example follows. What as often ends a sentence
# (etc., и др., и т. д.) is left out.
_ABBREVIATIONS = {
    code: frozenset(words.split())
    for code, words in {
        "en": "dr mr mrs ms prof st vs al approx ca cf dept rev gen col capt lt e.g i.e viz resp",
        "fr": "dr drs pr mm mme mmes ex env av apr cf al p.ex c.-à-d st ste",
        "es": "ee dr dra drs dres sr sra srta srtas ud uds prof profa ej p.ej aprox cf al av lic",
        "ru": "см ср напр проф акад доц д-р к.м.н д.м.н им ул г т.е т.н т.к",
    }.items()
}
# Chinese and Japanese text holds Latin names and references as English writes them.
_ABBREVIATIONS |= {"zh": _ABBREVIATIONS["en"], "ja": _ABBREVIATIONS["en"]}
# Parts of a work and months, in all the languages: a number follows, or it is another word (no.).
_PARTS_AND_MONTHS = (
    "fig figs tab no nos nº n vol vols p pp pág págs núm cap ch chap sec eq ref refs réf art ed éd "
    "jan feb mar apr jun jul aug sep sept oct nov dec janv févr avr juil déc ene abr ago dic "
    "рис табл стр с гл т изд янв февр апр авг сент окт нояб дек"
)
_BEFORE_NUMBER = frozenset(_PARTS_AND_MONTHS.split())

_CLOSERS = "\"'”’»)\\]」』）】〕》〉"
# French sets a blank before its closing quote: « Rien. »
_MARK = re.compile(f"[\\n\\r\\u2028\\u2029]+|[.!?…。！？．｡]+(?:[{_CLOSERS}]|[ \u00a0\u202f]»)*")
_FULL_WIDTH = re.compile("[。！？．｡]")
_NOT_BLANK = re.compile(r"\S")
# What continues a sentence after quoted speech.
_GOES_ON = "，、,と"
# The unbroken run of characters before a point, as far back as an abbreviation can reach, and
# what stands before it.
_WORD_BEFORE = re.compile(r"(?:^|(\S?)[\s(\[«\"'“‘（])([^\s(\[«\"'“‘（]{1,8})$")
_REACH = 10
_LIST_NUMBER = re.compile(r"\d{1,3}|[ivxIVX]{1,5}|[A-Za-zА-Яа-я]")
_LETTER = re.compile(r"[^\W\d_]")


def split_sentences(text: str, language: str) -> list[Span]:
    """Return (start, end) of every sentence, in characters, blanks around it left out.

    A piece without a letter (a rule of dashes, a page number) is no sentence. ``language`` is one
    of the six codes; KeyError for another. Linear in the text's length.
    """
    abbreviations = _ABBREVIATIONS[language]
    spans: list[Span] = []
    start = 0
    for mark in _MARK.finditer(text):
        if _ends(text, start, mark, abbreviations):
            _add(spans, text, start, mark.end())
            start = mark.end()
    _add(spans, text, start, len(text))
    return spans


def _ends(text: str, start: int, mark: re.Match[str], abbreviations: frozenset[str]) -> bool:
    found, end = mark[0], mark.end()
    if found[0].isspace() or end == len(text):
        return True
    if _FULL_WIDTH.search(found):
        return text[end] not in _GOES_ON
    if not text[end].isspace():
        return False
    following = _NOT_BLANK.search(text, end)
    if following is None:
        return True
    if following[0].islower():
        return False
    return found != "." or not _stays(text, start, mark.start(), following[0], abbreviations)


def _stays(
    text: str, start: int, point: int, following: str, abbreviations: frozenset[str]
) -> bool:
    """Tell whether the point at ``point`` belongs to the word before it, not to the sentence."""
    first = max(start, point - _REACH)
    before = _WORD_BEFORE.search(text[first:point])
    if before is None:
        return False
    earlier, word = before[1] or "", before[2]
    if first == start and text[start:point].strip() == word and _LIST_NUMBER.fullmatch(word):
        return True
    if word.lower() in _BEFORE_NUMBER and following.isdigit():
        return True
    if earlier.isdigit():
        return False
    last = word.rpartition(".")[2]
    initial = len(last) == 1 and last.isalpha() and last.isupper()
    return initial or word.lower() in abbreviations


def _add(spans: list[Span], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    if _LETTER.search(piece):
        begin = start + len(piece) - len(piece.lstrip())
        spans.append((begin, start + len(piece.rstrip())))
