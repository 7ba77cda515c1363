"""Which text layers are trusted, and how their lines come out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.languages import LANGUAGES
from medray.scans.layout import reading_order
from medray.scans.text_layer import FEWEST_LETTERS, TextLayer, is_trustworthy, text_layer_of

ENGLISH = "The patient was given aspirin for chest pain and improved within hours. " * 5
RUSSIAN = "Больной жалуется на одышку и боль в груди при ходьбе. " * 8
CHINESE = "患者因胸痛三小时入院，给予阿司匹林（aspirin）后症状缓解。" * 12


@pytest.mark.parametrize(
    ("text", "language", "trusted"),
    [
        (ENGLISH, "en", True),
        (RUSSIAN, "ru", True),
        (CHINESE, "zh", True),
        (ENGLISH + "α, β, ﬁ, µ, Ångström, naïve", "en", True),
        (ENGLISH[:150], "en", False),
        (ENGLISH + "\ue001" * 10, "en", False),
        (ENGLISH + "�" * 10, "en", False),
        (ENGLISH + "(cid:123)" * 3, "en", False),
        (ENGLISH + "жш" * 10, "en", False),
        (ENGLISH + ". - " * 400, "en", False),
        (ENGLISH, "ru", False),
    ],
)
def test_trust(text: str, language: str, trusted: bool) -> None:
    assert is_trustworthy(text, language, FEWEST_LETTERS) is trusted


@given(st.text(), st.sampled_from(list(LANGUAGES)), st.integers(1, 300))
def test_any_text_gets_an_answer(text: str, language: str, fewest: int) -> None:
    if is_trustworthy(text, language, fewest):
        assert sum(character.isalnum() for character in text) >= fewest


def layer_of(path: Path) -> TextLayer:
    document = pypdfium2.PdfDocument(path)
    layer = text_layer_of(document[0], "en")
    document.close()
    assert layer is not None
    return layer


def read(layer: TextLayer) -> str:
    return reading_order(layer.lines, layer.width, layer.height, "en").text


ROWS = [
    (72, 700, "Thrombosis begins where the vessel wall is injured, the"),
    (72, 684, "flow is slow or the blood clots too read-"),
    (72, 668, "ily, and it ends in an embolus."),
]


def test_lines_carry_their_places(digital_pdf: Callable[..., Path]) -> None:
    layer = layer_of(digital_pdf([ROWS]))
    assert (layer.width, layer.height) == (612, 792)
    assert [line.text for line in layer.lines] == [text for _, _, text in ROWS]
    tops = [line.quad[0][1] for line in layer.lines]
    assert tops == sorted(tops)
    assert layer.lines[0].quad[0][0] == pytest.approx(72, abs=2)
    assert read(layer).endswith("too readily, and it ends in an embolus.")


def test_columns_written_row_by_row_are_parted(digital_pdf: Callable[..., Path]) -> None:
    rows = [
        (x, 700 - 16 * index, f"{side} column row {index} runs on and")
        for index in range(10)
        for side, x in (("left", 60), ("right", 330))
    ]
    words = read(layer_of(digital_pdf([rows]))).split()
    assert [word for word in words if word in ("left", "right")] == ["left"] * 10 + ["right"] * 10


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_turned_page_reads_as_it_is_shown(
    rotation: int, digital_pdf: Callable[..., Path]
) -> None:
    """The print is turned one way in the page's own space, and the page back the other way."""
    width, height = (612, 792) if rotation % 180 == 0 else (792, 612)
    a, b, c, d, e, f = {
        0: (1, 0, 0, 1, 0, 0),
        90: (0, 1, -1, 0, width, 0),
        180: (-1, 0, 0, -1, width, height),
        270: (0, -1, 1, 0, 0, height),
    }[rotation]
    rows = [(a * x + c * y + e, b * x + d * y + f, text, (a, b, c, d)) for x, y, text in ROWS]
    layer = layer_of(digital_pdf([rows], (width, height), rotation))
    assert (layer.width, layer.height) == (612, 792)
    assert layer.lines[0].quad[0][0] == pytest.approx(72, abs=2)
    assert read(layer).startswith("Thrombosis begins where the vessel wall")


def test_sideways_print_is_one_line_and_leaves_the_text(digital_pdf: Callable[..., Path]) -> None:
    layer = layer_of(digital_pdf([[*ROWS, (590, 300, "Downloaded", (0, 1, -1, 0))]]))
    assert layer.lines[-1].text == "Downloaded"
    found = reading_order(layer.lines, layer.width, layer.height, "en")
    assert found.footer == ("Downloaded",)
    assert "Downloaded" not in found.text
