"""Recognised lines -> the page's text in reading order.

The order is the biggest source of error in scanned books: the same recognised lines read
straight across a two-column page score a character error rate of .6, in order below .01.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from medray.languages import language
from medray.scans.boxes import Box, Row, boxes_of, median, rows_of
from medray.scans.columns import reading_flows
from medray.scans.engines import Line
from medray.scans.joining import end_of_sentence, join_rows, text_of_row, words_of

# A running header or footer has its middle in the outermost 8 % of the page's height. A4 and
# Letter text blocks with one-inch margins begin at 8.6 % and 9.1 %.
_BAND_SHARE = 0.08
_FOLIO_BAND_SHARE = 0.12  # a bare page number is never body text, so it may stand further in
_MOST_BAND_ROWS = 2  # e.g. a running title and, under it, the section; more is body text
# A header stands off the body by a blank line: this many line heights beyond the usual gap.
_ISOLATION_HEIGHTS = 0.9
_HEADER_WIDTH_SHARE = 0.6  # print covers less of the body's width than this; body rows cover more
_TITLE_HEIGHTS = 1.25  # a line this much higher than the body's is a title, and stays
_FEWEST_BODY_ROWS = 3  # below this a page shows no usual gap that a header could stand off from

_SIDEWAYS_ASPECT = 3.0  # times higher than wide
_SIDEWAYS_CHARACTERS = 4  # a lone brace or comma may be as slender
_SIDEWAYS_SHARE = 0.1  # of the page's characters; vertical Japanese has all of them upright

_PARAGRAPH_PITCH = 1.4  # a step to the next line of over 1.4 usual ones separates paragraphs
_INDENT_HEIGHTS = 0.7  # smallest first-line indents: one character in Japanese, one em in Latin
# A heading is this much higher than the body; body lines are recognised up to 1.25 as high.
_HEADING_HEIGHTS = 1.35
_WORD_FIT = 1.5  # a row left room for the next word when it left 1.5 times its width
_FOLIO = re.compile(
    r"[\W_]*(?:(?:page|p|pág|página|стр|с|第)?\W*"
    r"(?:\d{1,4}|[ivxlcdm]{1,7})(?:\s*(?:/|of|de|sur|из)\s*\d{1,4})?\s*[页頁]?)[\W_]*",
    re.IGNORECASE,
)
_HEADING_ROOM_SHARE = 0.4  # even ragged text fills 60 % of a row before it breaks the line
# Engines read a round bullet also as one of the last three.
_ENUMERATION = re.compile(r"\(?\w{1,2}[.)、．）]")
_BULLET = re.compile(r"[•●▪■◦○◆►✓※]|[*©¢]\s")


@dataclass(frozen=True)
class PageText:
    """One page in reading order; ``header`` and ``footer`` are the lines taken off the body."""

    paragraphs: tuple[str, ...]
    header: tuple[str, ...]
    footer: tuple[str, ...]

    @property
    def text(self) -> str:
        """The paragraphs, one blank line between two."""
        return "\n\n".join(self.paragraphs)


def reading_order(
    lines: Iterable[Line], page_width: float, page_height: float, language_code: str
) -> PageText:
    """Return the page's paragraphs in reading order, without running headers and footers.

    ``page_width`` and ``page_height`` are in pixels, as are the lines' corners. The order of
    ``lines`` does not matter, and no letter of theirs is lost: what is not in the paragraphs is
    in ``header`` or ``footer``. Raises ``KeyError`` for an unknown language.
    """
    language(language_code)
    boxes = boxes_of(lines, page_width, page_height)
    boxes, sideways = _without_sideways(boxes)
    header, body, footer = _without_running_lines(rows_of(boxes), page_height)
    height = median([box.height for row in body for box in row.boxes])
    flows = reading_flows([box for row in body for box in row.boxes], height)
    words = words_of(box.text for box in boxes)
    return PageText(
        tuple(
            join_rows([text_of_row(row, language_code) for row in rows], language_code, words)
            for rows in _paragraphs([rows_of(flow) for flow in flows], language_code)
        ),
        tuple(text_of_row(row, language_code) for row in header),
        tuple(text_of_row(row, language_code) for row in footer)
        + tuple(box.text for box in sideways),
    )


def _without_sideways(boxes: list[Box]) -> tuple[list[Box], list[Box]]:
    """Split off the stamps that run up a margin; a page that is mostly upright columns is whole."""
    sideways = [
        box
        for box in boxes
        if box.height > _SIDEWAYS_ASPECT * (box.right - box.left)
        and len(box.text) >= _SIDEWAYS_CHARACTERS
    ]
    characters = sum(len(box.text) for box in boxes)
    if sum(len(box.text) for box in sideways) > _SIDEWAYS_SHARE * characters:
        return boxes, []
    return [box for box in boxes if box not in sideways], sideways


def _without_running_lines(
    rows: list[Row], page_height: float
) -> tuple[list[Row], list[Row], list[Row]]:
    """Split rows, top to bottom, into (header, body, footer)."""
    gaps = [lower.top - upper.bottom for upper, lower in pairwise(rows)]
    usual_gap, height = median(gaps), median([row.height for row in rows])
    width = max((row.right for row in rows), default=0.0) - min(
        (row.left for row in rows), default=0.0
    )

    def is_running(row: Row, gap: float) -> bool:
        edge_distance = min(row.middle, page_height - row.middle)
        if _FOLIO.fullmatch(row.plain_text):
            return edge_distance < _FOLIO_BAND_SHARE * page_height
        return (
            edge_distance < _BAND_SHARE * page_height
            and gap - usual_gap > _ISOLATION_HEIGHTS * height
            and row.height < _TITLE_HEIGHTS * height
            and row.print_width < _HEADER_WIDTH_SHARE * width
        )

    if len(rows) < _FEWEST_BODY_ROWS:
        return [], rows, []
    first, last = 0, len(rows)
    while (
        first < _MOST_BAND_ROWS
        and last - first > _FEWEST_BODY_ROWS
        and is_running(rows[first], gaps[first])
    ):
        first += 1
    while (
        len(rows) - last < _MOST_BAND_ROWS
        and last - first > _FEWEST_BODY_ROWS
        and is_running(rows[last - 1], gaps[last - 2])
    ):
        last -= 1
    return rows[:first], rows[first:last], rows[last:]


@dataclass(frozen=True)
class _Column:
    """What a row's beginning and end are measured against."""

    left: float
    right: float
    pitch: float


def _column_of(rows: list[Row]) -> _Column:
    lefts = sorted(row.left for row in rows)
    rights = sorted(row.right for row in rows)
    steps = [lower.middle - upper.middle for upper, lower in pairwise(rows)]
    # The 15th and 85th of 100 edges: indented rows are fewer, and a stray mark is one.
    edge = int(0.15 * len(rows))
    return _Column(lefts[edge], rights[-1 - edge], median(steps))


def _paragraphs(flows: list[list[Row]], language_code: str) -> list[list[Row]]:
    """Group the rows of all flows into paragraphs; one may run on into the next column."""
    heading_height = _HEADING_HEIGHTS * median([row.height for rows in flows for row in rows])
    paragraphs: list[list[Row]] = []
    previous: tuple[Row, _Column] | None = None
    for rows in flows:
        column = _column_of(rows)
        for row in rows:
            if previous is not None and _runs_on(
                *previous, row, column, heading_height, language_code
            ):
                paragraphs[-1].append(row)
            else:
                paragraphs.append([row])
            previous = row, column
    return paragraphs


def _runs_on(
    before: Row,
    column_before: _Column,
    row: Row,
    column: _Column,
    heading_height: float,
    language_code: str,
) -> bool:
    """Say whether ``row`` goes on with the paragraph of the row read before it."""
    indent, indent_before = row.left - column.left, before.left - column_before.left
    # A whole paragraph set in shares its indent; only the step to the right begins one.
    steps_in = min(indent, 2 * (indent - indent_before)) > _INDENT_HEIGHTS * row.height
    if (before.height > heading_height) is not (row.height > heading_height):
        return False
    overlap = min(column.right, column_before.right) - max(column.left, column_before.left)
    if column is not column_before and overlap > 0:
        return False  # from print across the columns to a column, or back
    if column is column_before and row.middle - before.middle > _PARAGRAPH_PITCH * column.pitch:
        return False
    if _BULLET.match(row.plain_text):
        return False
    room = column_before.right - before.right
    if room > _first_word_px(row, language_code) and _ENUMERATION.match(row.plain_text):
        return False
    width = column_before.right - column_before.left
    if room > _HEADING_ROOM_SHARE * width and column.right - row.right < room / 2:
        return False  # a short row before a longer one; rows beside a figure are all short
    is_full = room < _WORD_FIT * _first_word_px(row, language_code)
    if not end_of_sentence(before.plain_text):
        # A full row in mid-sentence goes on even where the next is set in, as in list items.
        return is_full or not steps_in
    return is_full and not steps_in


def _first_word_px(row: Row, language_code: str) -> float:
    """Estimate the width of a row's first word and a blank; without blanks, of two characters."""
    text = row.plain_text
    spaced = language(language_code).spaced
    characters = len(text.split(maxsplit=1)[0]) + 1 if spaced else 2
    return characters * (row.right - row.left) / len(text)
