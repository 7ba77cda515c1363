"""Pages of an invented textbook, drawn as a scanner would see them, and PDF files of such pages.

The same text always gives the same bytes: the tilt, the blur and the noise follow from the
language and the page number, and the PDF carries no date. Fonts: Debian's fonts-dejavu-core and
fonts-noto-cjk.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
import PIL.ImageFont

_DPI = 200
_WIDTH_PX, _HEIGHT_PX = 1654, 2339  # A4
_LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX = 165, 1489, 250, 2140
_HEADER_Y_PX, _FOLIO_Y_PX = 110, 2225
_GUTTER_PX = 56  # 7 mm
_BODY_SIZES_PX = (27, 26, 25, 24, 23)  # 9.7 down to 8.3 points; the largest that fits
_LEADING = 1.42
_PAPER, _INK = 232, 56  # grey levels
_FONTS = {
    "latin": ("/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf", 0),
    "latin bold": ("/usr/share/fonts/truetype/dejavu/DejaVuSerif-Bold.ttf", 0),
    "ja": ("/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc", 0),
    "ja bold": ("/usr/share/fonts/opentype/noto/NotoSerifCJK-Bold.ttc", 0),
    "zh": ("/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc", 2),
    "zh bold": ("/usr/share/fonts/opentype/noto/NotoSerifCJK-Bold.ttc", 2),
}
_WIDE_LANGUAGES = ("zh", "ja")
_NEVER_FIRST = frozenset("、。，．；：！？）」』】〉》”’々ー・％,.;:!?)")
_NEVER_LAST = frozenset("（「『【〈《“‘(")
_VOWELS = frozenset("aeiouyàâáéèêíîóôúûüïëœаеёиоуыэюя")
_SHORTEST_DIVIDED = 8  # letters; shorter words are carried over whole


@dataclass(frozen=True)
class _Setting:
    """One printed row: its words and how it is set."""

    words: tuple[str, ...]
    indent_px: float
    is_last: bool


def render_page(
    running_header: str, title: str, paragraphs: Sequence[str], language: str, page_number: int
) -> PIL.Image.Image:
    """Return a grey A4 page at 200 dpi.

    Odd pages of languages with blanks are set in two columns, all others in one. Raises
    ``FileNotFoundError`` without the fonts and ``ValueError`` when the text does not fit.
    """
    is_wide = language in _WIDE_LANGUAGES
    columns = 2 if page_number % 2 == 1 and not is_wide else 1
    page = PIL.Image.new("L", (_WIDTH_PX, _HEIGHT_PX), _PAPER)
    draw = PIL.ImageDraw.Draw(page)
    small = _font(language, 26)
    draw.text((_LEFT_PX, _HEADER_Y_PX), running_header, _INK, small)
    folio = str(100 + page_number)
    draw.text(((_WIDTH_PX - small.getlength(folio)) / 2, _FOLIO_Y_PX), folio, _INK, small)
    heading = _font(f"{language} bold", 46)
    draw.text((_LEFT_PX, _TOP_PX), title, _INK, heading)
    width_px = (_RIGHT_PX - _LEFT_PX - (columns - 1) * _GUTTER_PX) / columns
    top_px = _TOP_PX + 110
    for size_px in _BODY_SIZES_PX:
        font = _font(language, size_px)
        leading_px = size_px * _LEADING
        rows = [row for text in paragraphs for row in _rows(text, font, width_px, is_wide)]
        rows_per_column = -(-len(rows) // columns)
        if top_px + rows_per_column * leading_px <= _BOTTOM_PX:
            break
    else:
        raise ValueError(f"{sum(map(len, paragraphs))} characters do not fit on one page")
    for index, row in enumerate(rows):
        column, line = divmod(index, rows_per_column)
        x = _LEFT_PX + column * (width_px + _GUTTER_PX)
        _draw_row(draw, row, x, top_px + line * leading_px, width_px, font, is_wide)
    return _scanned(page, zlib.crc32(f"{language} {page_number}".encode()))


def images_to_pdf(images: Sequence[PIL.Image.Image], path: Path) -> None:
    """Write one page for each grey image, as JPEG of quality 60; same images, same bytes."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    kids = []
    for image in images:
        stream = io.BytesIO()
        image.convert("L").save(stream, "JPEG", quality=60, progressive=True)
        width_pt, height_pt = (72 * side / _DPI for side in image.size)
        number = len(objects) + 1
        kids.append(f"{number} 0 R")
        content = f"q {width_pt:.2f} 0 0 {height_pt:.2f} 0 0 cm /Scan Do Q".encode()
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width_pt:.2f} {height_pt:.2f}] "
            f"/Resources << /XObject << /Scan {number + 1} 0 R >> >> "
            f"/Contents {number + 2} 0 R >>".encode(),
            _stream(
                f"/Type /XObject /Subtype /Image /Width {image.width} /Height {image.height} "
                "/ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /DCTDecode",
                stream.getvalue(),
            ),
            _stream("", content),
        ]
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>".encode()
    path.write_bytes(_pdf(objects))


def _stream(entries: str, data: bytes) -> bytes:
    return f"<< {entries} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def _pdf(objects: Sequence[bytes]) -> bytes:
    """Number the objects from 1 and add the cross-reference table (ISO 32000-1, 7.5.4)."""
    file = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(file))
        file += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    return (
        file
        + (
            f"xref\n0 {size}\n0000000000 65535 f \n{table}"
            f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(file)}\n%%EOF\n"
        ).encode()
    )


def _font(name: str, size_px: int) -> PIL.ImageFont.FreeTypeFont:
    language, _, weight = name.partition(" ")
    family = language if language in _WIDE_LANGUAGES else "latin"
    path, index = _FONTS[f"{family} {weight}".strip()]
    if not Path(path).is_file():
        raise FileNotFoundError(f"no {path}: apt-get install fonts-dejavu-core fonts-noto-cjk")
    return PIL.ImageFont.truetype(path, size_px, index=index)


def _rows(
    text: str, font: PIL.ImageFont.FreeTypeFont, width_px: float, is_wide: bool
) -> Iterator[_Setting]:
    """Break one paragraph into rows; its first row is set in by 1.5 letters."""
    blank_px = 0.0 if is_wide else font.getlength(" ")
    indent_px = 1.5 * font.size
    words: list[str] = []
    used_px = indent_px
    waiting = _units(text) if is_wide else text.split()
    while waiting:
        word = waiting.pop(0)
        if used_px + font.getlength(word) <= width_px:
            words.append(word)
            used_px += font.getlength(word) + blank_px
            continue
        head, tail = ("", word) if is_wide else _divided(word, font, width_px - used_px)
        waiting.insert(0, tail)
        yield _Setting((*words, head) if head else tuple(words), indent_px, is_last=False)
        words, used_px, indent_px = [], 0.0, 0.0
    yield _Setting(tuple(words), indent_px, is_last=True)


def _units(text: str) -> list[str]:
    """Cut Chinese or Japanese text where a row may end: Latin words and punctuation stay whole."""
    units: list[str] = []
    for character in text:
        joins = units and (
            character in _NEVER_FIRST
            or units[-1][-1] in _NEVER_LAST
            or (units[-1][-1].isascii() and character.isascii())
        )
        if joins:
            units[-1] += character
        else:
            units.append(character)
    return units


def _divided(word: str, font: PIL.ImageFont.FreeTypeFont, room_px: float) -> tuple[str, str]:
    """Divide a word at its last hyphen, or after its last open syllable, that leaves it room."""
    for cut in range(len(word) - 3, 2, -1):
        head, tail = word[:cut], word[cut:]
        if head.endswith("-") and font.getlength(head) <= room_px:
            return head, tail
        is_syllable = head[-1] in _VOWELS and tail[0] not in _VOWELS and tail[1] in _VOWELS
        is_plain = len(word) >= _SHORTEST_DIVIDED and (head + tail[:3]).isalpha() and head.islower()
        if is_syllable and is_plain and font.getlength(head + "-") <= room_px:
            return head + "-", tail
    return "", word


def _draw_row(
    draw: PIL.ImageDraw.ImageDraw,
    row: _Setting,
    x: float,
    y: float,
    width_px: float,
    font: PIL.ImageFont.FreeTypeFont,
    is_wide: bool,
) -> None:
    """Draw a row between both margins; the last of a paragraph keeps its own blanks."""
    x += row.indent_px
    printed_px = sum(font.getlength(word) for word in row.words)
    blank_px = 0.0 if is_wide else font.getlength(" ")
    if not row.is_last and len(row.words) > 1:
        blank_px = (width_px - row.indent_px - printed_px) / (len(row.words) - 1)
    for word in row.words:
        draw.text((x, y), word, _INK, font)
        x += font.getlength(word) + blank_px


def _scanned(page: PIL.Image.Image, seed: int) -> PIL.Image.Image:
    """Tilt the page by up to 0.4 degrees, blur it, shade it towards one side, add grain."""
    random = np.random.default_rng(seed)
    tilted = page.rotate(
        random.uniform(-0.4, 0.4), PIL.Image.Resampling.BICUBIC, fillcolor=_PAPER
    ).filter(PIL.ImageFilter.GaussianBlur(1.0))
    shade = np.linspace(-8.0, random.uniform(0.0, 6.0), _WIDTH_PX)
    grain = random.normal(0.0, 1.0, (_HEIGHT_PX, _WIDTH_PX))
    grey = np.asarray(tilted, dtype=np.float64) + shade + grain
    return PIL.Image.fromarray(grey.clip(0, 255).astype(np.uint8))
