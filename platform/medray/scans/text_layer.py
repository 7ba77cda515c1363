"""The text that a PDF page already carries: its lines, and whether they can be trusted."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium

from medray.languages import language
from medray.scans.boxes import median
from medray.scans.engines import Line
from medray.scans.gates import SMALLEST_SCRIPT_SHARE, script_share

# A page with fewer letters and digits may be a scan with a stamp or a page number on it. MMedLM
# counts 200 over the whole document; here it is per page, for books mix both kinds.
FEWEST_LETTERS = 200
# Without a larger image a page is no scan, and a short text is all of it: a title, a chapter's
# last lines. Fewer than 25 letters may be the page number below text that was drawn as curves.
SMALLEST_SCAN_SHARE = 0.25
FEWEST_DIGITAL_LETTERS = 25
SMALLEST_ALNUM_SHARE = 0.5  # of the characters that are not blank; MMedLM's second rule
# An image that covers this much of the page is a scan, and its text an older engine's guess.
# MinerU's figure.
LARGEST_IMAGE_SHARE = 0.8
# Private-use, control and replacement characters, and letters of a foreign script inside a
# word, come from fonts without a usable ToUnicode table.
LARGEST_GARBLED_SHARE = 0.02

_GLYPH_NUMBER = re.compile(r"\(cid:\d+\)")
_COLUMN_GAP_HEIGHTS = 1.5  # wider than any blank in justified text, narrower than a gutter
_SIDEWAYS_SINE = 0.7  # turned by 45 degrees or more: marginal stamps, axis titles
_PDFIUM_HYPHEN = "\x02"  # pdfium's mark for a hyphen at which it found a word divided
_LATIN_OR_GREEK = re.compile(r"[A-Za-zª°µºÀ-ɏͰ-Ͽἀ-῿]")

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class TextLayer:
    """A page's own lines, in points with y downwards, and the page's size as it is shown."""

    lines: tuple[Line, ...]
    width: float
    height: float


def text_layer_of(page: pypdfium2.PdfPage, language_code: str) -> TextLayer | None:
    """Return the page's own text, or ``None`` when OCR must read it; ``PdfiumError``."""
    text_page = page.get_textpage()
    try:
        text = _whole(map(chr, _code_points(text_page)))
        image_share = _image_share(page)
        fewest = FEWEST_LETTERS if image_share >= SMALLEST_SCAN_SHARE else FEWEST_DIGITAL_LETTERS
        if image_share >= LARGEST_IMAGE_SHARE or not is_trustworthy(text, language_code, fewest):
            return None
        return TextLayer(tuple(_lines(text_page, page)), page.get_width(), page.get_height())
    finally:
        text_page.close()


def is_trustworthy(text: str, language_code: str, fewest_letters: int) -> bool:
    """Say whether a page's text layer is long enough, whole, and in the language's script."""
    printed = [character for character in text if not character.isspace()]
    alnum = sum(character.isalnum() for character in printed)
    if alnum < fewest_letters or alnum < SMALLEST_ALNUM_SHARE * len(printed):
        return False
    if _garbled_share(text, language_code) > LARGEST_GARBLED_SHARE:
        return False
    return script_share(text, language_code) >= SMALLEST_SCRIPT_SHARE


def _garbled_share(text: str, language_code: str) -> float:
    """Return the share of characters that no printed page of this language shows."""
    script = language(language_code).script
    cid_runs = sum(len(run) for run in _GLYPH_NUMBER.findall(text))
    printed = foreign = 0
    for character in text:
        if character.isspace() or character == _PDFIUM_HYPHEN:
            continue
        printed += 1
        if character.isalpha():
            known = script.match(character) or _LATIN_OR_GREEK.match(character)
            foreign += known is None and unicodedata.category(character) != "Lm"
        else:
            foreign += unicodedata.category(character) in ("Co", "Cc", "Cn") or character == "�"
    return (cid_runs + foreign) / printed if printed else 0.0


def _image_share(page: pypdfium2.PdfPage) -> float:
    """Return the largest share of the page that one image covers."""
    page_left, page_bottom, page_right, page_top = page.get_bbox()
    largest = 0.0
    for image in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = image.get_bounds()
        shown_width = max(0.0, min(right, page_right) - max(left, page_left))
        shown_height = max(0.0, min(top, page_top) - max(bottom, page_bottom))
        largest = max(largest, shown_width * shown_height)
    share: float = largest / ((page_right - page_left) * (page_top - page_bottom))
    return share


def _code_points(text_page: pypdfium2.PdfTextPage) -> list[int]:
    return [
        pdfium.FPDFText_GetUnicode(text_page, index) for index in range(text_page.count_chars())
    ]


def _whole(characters: Iterable[str]) -> str:
    """Join characters; pdfium gives those beyond U+FFFF as two surrogates."""
    return "".join(characters).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _lines(text_page: pypdfium2.PdfTextPage, page: pypdfium2.PdfPage) -> Iterator[Line]:
    """Yield lines as pdfium breaks them, broken again at wide gaps, which part columns.

    Sideways print, of which pdfium makes a line from every letter, comes last and as one line.
    """
    characters: list[str] = []
    boxes: list[Rectangle] = []
    sideways: list[tuple[str, Rectangle]] = []
    place, upright = _placement(page), math.radians(page.get_rotation())
    for index, code_point in enumerate(_code_points(text_page)):
        character = chr(code_point)
        if character in "\r\n":
            yield from _line(characters, boxes)
            characters, boxes = [], []
            continue
        if character.isspace():
            characters.append(" ")
            continue
        if unicodedata.category(character) == "Cc" and character != _PDFIUM_HYPHEN:
            continue
        box = place(text_page.get_charbox(index, loose=True))
        angle = pdfium.FPDFText_GetCharAngle(text_page, index) - upright
        if abs(math.sin(angle)) > _SIDEWAYS_SINE:
            sideways.append((character, box))
            continue
        if boxes and _far_apart(boxes[-1], box):
            yield from _line(characters, boxes)
            characters, boxes = [], []
        characters.append("-" if character == _PDFIUM_HYPHEN else character)
        boxes.append(box)
    yield from _line(characters, boxes)
    yield from _sideways_line(sideways)


def _sideways_line(printed: list[tuple[str, Rectangle]]) -> Iterator[Line]:
    if printed:
        boxes = [box for _, box in printed]
        left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
        right, bottom = max(box[2] for box in boxes), max(box[3] for box in boxes)
        quad = ((left, top), (right, top), (right, bottom), (left, bottom))
        yield Line(quad, _whole(character for character, _ in printed), 1.0)


def _placement(page: pypdfium2.PdfPage) -> Callable[[Rectangle], Rectangle]:
    """Return what turns a box of the page's own space into (left, top, right, bottom) as shown."""
    left, bottom, right, top = page.get_bbox()

    def place(box: Rectangle) -> Rectangle:
        x0, y0, x1, y1 = box
        return {
            0: (x0 - left, top - y1, x1 - left, top - y0),
            90: (y0 - bottom, x0 - left, y1 - bottom, x1 - left),
            180: (right - x1, y0 - bottom, right - x0, y1 - bottom),
            270: (top - y1, right - x1, top - y0, right - x0),
        }[rotation]

    rotation = page.get_rotation()
    return place


def _far_apart(before: Rectangle, box: Rectangle) -> bool:
    height = max(before[3] - before[1], box[3] - box[1])
    gap = box[0] - before[2]
    return gap > _COLUMN_GAP_HEIGHTS * height or gap < -_COLUMN_GAP_HEIGHTS * height


def _line(characters: list[str], boxes: list[Rectangle]) -> Iterator[Line]:
    """Yield the one line of these characters, if any of them is printed."""
    if boxes:
        left, right = min(box[0] for box in boxes), max(box[2] for box in boxes)
        # Medians: one bracket from another font may be twice as high as the line.
        top, bottom = median([box[1] for box in boxes]), median([box[3] for box in boxes])
        quad = ((left, top), (right, top), (right, bottom), (left, bottom))
        yield Line(quad, _whole(characters).strip(), 1.0)
