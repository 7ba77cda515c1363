"""Which boxes stand in which column, and in what order the columns are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from medray.scans.boxes import Box, median, rows_of

_CENTRAL_SHARE = 0.2  # a gutter keeps 20 % of the width on either side; three columns keep 33 %
_NARROWEST_GUTTER_HEIGHTS = 0.5  # books set 5 mm between columns, 1.2 line heights at 11 points
# Recognised boxes are padded by up to a sixth of the line height; two columns' may nearly touch.
_PADDING_HEIGHTS = 0.15
_FEWEST_ROWS = 3  # on either side; fewer are a caption beside a figure or a stray mark
_SIDE_BY_SIDE_SHARE = 0.6  # of the shorter side's rows stand beside rows of the other
_COLUMN_WIDTH_SHARE = 0.2  # median row of a column; the cells of most tables are narrower
_HEADING_GAP_HEIGHTS = 0.4  # more than the usual gap between the boxes of two lines, about .1


@dataclass(frozen=True)
class _Run:
    """Boxes from top to bottom that stand left or right of an x, or that all lie across it."""

    left: tuple[Box, ...]
    right: tuple[Box, ...]
    across: tuple[Box, ...]

    def gutter_px(self) -> float:
        """Return the width of the empty strip between left and right; 0 if one side is empty."""
        if not (self.left and self.right):
            return 0.0
        return min(box.left for box in self.right) - max(box.right for box in self.left)


def reading_flows(boxes: Sequence[Box], height: float) -> list[list[Box]]:
    """Return groups of boxes in reading order, each group from one column.

    ``height`` is the body's line height in pixels. Print across the gutter ends the columns
    above it: left and right are read to there, then what lies across, then what is below it.
    """
    runs = _runs_beside_gutter(boxes, height)
    if not runs:
        return [list(boxes)] if boxes else []
    flows: list[list[Box]] = []
    for in_columns, group in groupby(runs, key=lambda run: bool(run.left and run.right)):
        if in_columns:
            for run in group:
                flows += reading_flows(run.left, height) + reading_flows(run.right, height)
        else:
            whole = [box for run in group for box in (*run.left, *run.right, *run.across)]
            flows += reading_flows(whole, height)
    return flows


def _runs_beside_gutter(boxes: Sequence[Box], height: float) -> list[_Run]:
    """Cut the boxes at the gutter that most of them stand beside; empty when there is none."""
    if len(boxes) < 2 * _FEWEST_ROWS:
        return []
    start, end = min(box.left for box in boxes), max(box.right for box in boxes)
    margin = _CENTRAL_SHARE * (end - start)
    ordered = sorted(boxes, key=lambda box: (box.middle, box.left, box.right, box.text))
    most, widest, found = 0, 0.0, list[_Run]()
    sides_before: list[int] = []
    x = start + margin
    while x <= end - margin:
        sides = _sides(ordered, x, height)
        if sides != sides_before:
            runs = _runs(ordered, sides, height)
            columns = [run for run in runs if _is_pair_of_columns(run, end - start, height)]
            beside = sum(len(run.left) + len(run.right) for run in columns)
            gutter_px = min((run.gutter_px() for run in columns), default=0.0)
            if (beside, gutter_px) > (most, widest):
                most, widest, found = beside, gutter_px, runs
        sides_before = sides
        x += _NARROWEST_GUTTER_HEIGHTS * height / 2
    return found


def _sides(ordered: Sequence[Box], x: float, height: float) -> list[int]:
    """Return -1, 0 or 1 for each box: left of x, across it, right of it."""
    padding = _PADDING_HEIGHTS * height
    return [
        0
        if box.left + padding < x < box.right - padding
        else (-1 if box.left + box.right < 2 * x else 1)
        for box in ordered
    ]


def _runs(ordered: Sequence[Box], sides: Sequence[int], height: float) -> list[_Run]:
    runs: list[_Run] = []
    heading: tuple[Box, ...] = ()
    side_of = dict(zip(map(id, ordered), sides, strict=True))
    for across, group in groupby(ordered, key=lambda box: side_of[id(box)] == 0):
        run = heading + tuple(group)
        heading = ()
        if across:
            runs.append(_Run((), (), run))
            continue
        if run[-1] is not ordered[-1]:
            run, heading = _without_last_heading(run, height)
        left = tuple(box for box in run if side_of[id(box)] < 0)
        right = tuple(box for box in run if side_of[id(box)] > 0)
        runs.append(_Run(left, right, ()))
    return runs


def _without_last_heading(
    run: tuple[Box, ...], height: float
) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
    """Part a run's last box from it when a gap above makes it the heading of what lies across."""
    bottom = max((box.bottom for box in run[:-1]), default=run[-1].top)
    is_heading = run[-1].top - bottom > _HEADING_GAP_HEIGHTS * height
    return (run[:-1], run[-1:]) if is_heading else (run, ())


def _is_pair_of_columns(run: _Run, width: float, height: float) -> bool:
    """Say whether left and right of a run look like two columns of running text."""
    padding = _PADDING_HEIGHTS * height
    if run.gutter_px() + 2 * padding < _NARROWEST_GUTTER_HEIGHTS * height:
        return False
    if min(len(run.left), len(run.right)) < _FEWEST_ROWS:
        return False
    shorter, longer = sorted((rows_of(run.left), rows_of(run.right)), key=len)
    for rows in (shorter, longer):
        if len(rows) < _FEWEST_ROWS:
            return False
        if median([row.right - row.left for row in rows]) < _COLUMN_WIDTH_SHARE * width:
            return False
    beside = sum(
        any(row.top < other.bottom and other.top < row.bottom for other in longer)
        for row in shorter
    )
    return beside >= _SIDE_BY_SIDE_SHARE * len(shorter)
