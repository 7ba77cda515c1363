from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.reports.plots import bars, histogram, short_number, stacked_bars

SVG = "{http://www.w3.org/2000/svg}"
COLOURS = {"kept": "#009E73", "filter": "#E69F00", "<b>": "#999999"}
LABELS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=80)
COUNTS = st.integers(0, 10**12)
STACKED = stacked_bars("Title", {"日本語": {"kept": 3, "filter": 97}, "ру": {"kept": 1}}, COLOURS)
HISTOGRAM = histogram("Title", {"kept": [0, 5, 1000]}, {0: "1", 2: "100"}, COLOURS, mark=1.5)
BARS = bars("Title", [("печень", 40, 10), ("糖尿病", 4, 4)], ("#009E73", "#999999"))


def elements(svg: str, name: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter(SVG + name))


def words(svg: str) -> list[str]:
    return [element.text or "" for element in elements(svg, "text")]


def attribute(element: ElementTree.Element, name: str) -> float:
    return float(element.attrib[name])


@pytest.mark.parametrize("svg", [STACKED, HISTOGRAM, BARS])
def test_a_chart_stands_alone_and_loads_nothing(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", "Title")
    assert not re.search(r"<(script|image|link)|@import|@font-face|url\(|href", svg)
    # Ink follows the page: nothing is drawn in fixed black or white.
    assert not re.search(r'(fill|stroke)="(black|white|#000|#fff)', svg)
    assert "currentColor" in svg


def test_labels_of_six_scripts_are_text() -> None:
    assert {"日本語", "ру", "kept", "filter", "0 %", "100 %"} <= set(words(STACKED))
    assert {"печень", "糖尿病", "40", "4"} <= set(words(BARS))
    assert {"1", "100", "10", "1k"} <= set(words(HISTOGRAM))


def test_a_stacked_bar_is_parted_by_share_and_tells_the_counts() -> None:
    japanese = [e for e in elements(STACKED, "rect") if "日本語" in (e[0].text or "")]
    kept, gone = japanese
    assert attribute(gone, "width") / attribute(kept, "width") == pytest.approx(97 / 3, rel=1e-2)
    assert attribute(kept, "x") + attribute(kept, "width") == pytest.approx(
        attribute(gone, "x"), 1e-3
    )
    assert gone[0].text == "日本語, filter: 97 of 100 (97.00 %)"
    assert "<b>" not in words(STACKED)


def test_bars_are_as_long_as_their_counts() -> None:
    whole, part, second, _ = (attribute(e, "width") for e in elements(BARS, "rect"))
    assert (part / whole, second / whole) == pytest.approx((0.25, 0.1), rel=1e-2)


def test_a_long_label_is_cut_where_it_is_drawn_and_whole_where_it_is_told() -> None:
    label = "accident vasculaire cérébral ischémique transitoire"
    svg = bars("t", [(label, 1, 1), ("語" * 40, 1, 1)], ("#009E73", "#999999"))
    assert words(svg)[0].endswith("…")
    assert f"{label}: 1" in [e[0].text for e in elements(svg, "rect")]


def test_a_threshold_is_a_dashed_line() -> None:
    assert HISTOGRAM.count("stroke-dasharray") == 1
    assert "stroke-dasharray" not in histogram("t", {"kept": [1]}, {}, COLOURS)


@given(
    st.dictionaries(LABELS, st.dictionaries(st.sampled_from(list(COLOURS)), COUNTS), max_size=6),
    st.lists(COUNTS, max_size=30),
    st.lists(st.tuples(LABELS, COUNTS, COUNTS), max_size=6),
)
def test_any_counts_and_labels_give_a_drawing_inside_its_frame(
    rows: dict[str, dict[str, int]], counts: list[int], entries: list[Any]
) -> None:
    parted = [(label, max(a, b), min(a, b)) for label, a, b in entries]
    for svg in (
        stacked_bars("<&\"'", rows, COLOURS),
        histogram("t", {"kept": counts, "filter": counts[::-1]}, {0: "0"}, COLOURS),
        bars("t", parted, ("#009E73", "#999999")),
    ):
        root = ElementTree.fromstring(svg)
        width, height = attribute(root, "width"), attribute(root, "height")
        for rect in root.iter(f"{SVG}rect"):
            assert attribute(rect, "width") >= 0
            assert attribute(rect, "x") + attribute(rect, "width") <= width
            assert attribute(rect, "y") + attribute(rect, "height") <= height
        for path in root.iter(f"{SVG}path"):
            heights = [float(value) for value in re.findall(r"V([-\d.]+)", path.attrib["d"])]
            assert all(0 <= value <= height for value in heights)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (1, "1"), (999, "999"), (1000, "1k"), (1234, "1.2k"), (34_700, "35k")),
        *((999_960, "1M"), (4_100_000, "4.1M"), (10**9, "1G"), (6_300_000_000_000, "6300G")),
    ],
)
def test_short_numbers(value: int, text: str) -> None:
    assert short_number(value) == text
