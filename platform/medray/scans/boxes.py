"""Lines as upright boxes on a levelled page, and boxes that stand beside each other as rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from medray.scans.engines import Line

# A line tells the page's tilt when it is at least this many times as long as high; a corner that
# is off by 2 px turns a shorter one by more than the degree that scans are tilted by.
_LONG_LINE = 6.0
_ROW_OVERLAP = 0.5  # boxes share a row when half of the lower one's height lies beside the other


@dataclass(frozen=True)
class Box:
    """One line on the levelled page, in pixels."""

    left: float
    top: float
    right: float
    bottom: float
    text: str

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Row:
    """Boxes of one printed row, left to right; never empty."""

    boxes: tuple[Box, ...]

    @property
    def left(self) -> float:
        return self.boxes[0].left

    @property
    def right(self) -> float:
        return max(box.right for box in self.boxes)

    @property
    def top(self) -> float:
        return min(box.top for box in self.boxes)

    @property
    def bottom(self) -> float:
        return max(box.bottom for box in self.boxes)

    @property
    def middle(self) -> float:
        return median([box.middle for box in self.boxes])

    @property
    def height(self) -> float:
        return median([box.height for box in self.boxes])

    @property
    def print_width(self) -> float:
        """Width that print covers; the gaps between the boxes do not count."""
        return sum(box.right - box.left for box in self.boxes)

    @property
    def plain_text(self) -> str:
        return " ".join(box.text for box in self.boxes)


def median(values: Sequence[float]) -> float:
    """Return the upper median, an element of ``values``; 0 for none."""
    return sorted(values)[len(values) // 2] if values else 0.0


def boxes_of(lines: Iterable[Line], page_width: float, page_height: float) -> list[Box]:
    """Level the page: turn the lines about its middle by their common tilt; blank lines go."""
    printed = [line for line in lines if line.text.strip()]
    tilt = _tilt(printed)
    cosine, sine = math.cos(-tilt), math.sin(-tilt)
    boxes = []
    for line in printed:
        x = sum(point[0] for point in line.quad) / 4 - page_width / 2
        y = sum(point[1] for point in line.quad) / 4 - page_height / 2
        middle_x = x * cosine - y * sine + page_width / 2
        middle_y = x * sine + y * cosine + page_height / 2
        half_width, half_height = _length(line, 0, 1) / 2, _length(line, 1, 2) / 2
        boxes.append(
            Box(
                middle_x - half_width,
                middle_y - half_height,
                middle_x + half_width,
                middle_y + half_height,
                " ".join(line.text.split()),
            )
        )
    return boxes


def rows_of(boxes: Iterable[Box]) -> list[Row]:
    """Group boxes into rows, top to bottom, whatever order they come in."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: (box.middle, box.left, box.right, box.text)):
        if rows and _beside(box, rows[-1]):
            rows[-1].append(box)
        else:
            rows.append([box])
    return [Row(tuple(sorted(row, key=lambda box: (box.left, box.middle)))) for row in rows]


def _beside(box: Box, row: list[Box]) -> bool:
    first = row[0]
    shared = min(box.bottom, first.bottom) - max(box.top, first.top)
    if shared < _ROW_OVERLAP * min(box.height, first.height):
        return False
    # Print above print is never one row, however close the lines are set.
    return all(
        min(box.right, other.right) - max(box.left, other.left)
        < 0.5 * min(box.right - box.left, other.right - other.left)
        for other in row
    )


def _tilt(lines: Sequence[Line]) -> float:
    """Return the median angle of the long lines' upper edges, in radians; 0 without any."""
    angles = []
    for line in lines:
        (x0, y0), (x1, y1) = line.quad[0], line.quad[1]
        if _length(line, 0, 1) > _LONG_LINE * _length(line, 1, 2):
            angles.append(math.atan2(y1 - y0, x1 - x0))
    return median(angles)


def _length(line: Line, start: int, end: int) -> float:
    (x0, y0), (x1, y1) = line.quad[start], line.quad[end]
    return math.hypot(x1 - x0, y1 - y0)
