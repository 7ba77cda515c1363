from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from medray.evaluation.charts import COLOURS, funnel_chart, loss_chart
from medray.evaluation.report import STEP_TEXTS

NONE = dict.fromkeys(STEP_TEXTS, 0)
FUNNEL = {
    "en": NONE | {"documents": 10, "filter": 5, "duplicates": 1, "kept": 4},
    "zh": NONE | {"documents": 4, "kept": 4},
}
LOSSES: dict[str, Any] = {"loss": [(1, 5.0), (5, 4.0), (10, 3.5)], "validation_loss": [(10, 4.2)]}


def words(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [(element.text or "").strip() for element in root.iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("svg", [loss_chart(LOSSES), funnel_chart(FUNNEL, STEP_TEXTS)])
def test_a_chart_is_svg_that_loads_nothing(svg: str) -> None:
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert not re.search(r"<(script|image|link|style[^>]*src)|@import|url\((?!#)", svg)
    assert not re.search(r'href="(?!#)', svg)


def test_the_loss_chart_names_its_curves_and_axes() -> None:
    assert {"loss", "validation loss", "optimizer step", "nats per token"} <= set(
        words(loss_chart(LOSSES))
    )


def test_without_validation_there_is_one_curve() -> None:
    for results in ({"loss": LOSSES["loss"]}, {"loss": LOSSES["loss"], "validation_loss": []}):
        svg = loss_chart(results)
        assert "validation loss" not in words(svg)
        assert COLOURS["validation_loss"].lower() not in svg.lower()


def test_the_funnel_has_a_bar_a_language_and_the_steps_that_occur() -> None:
    found = words(funnel_chart(FUNNEL, STEP_TEXTS))
    assert {"en", "zh", "kept", "not medical", "duplicate"} <= set(found)
    only_kept = words(funnel_chart({"zh": FUNNEL["zh"]}, STEP_TEXTS))
    assert "kept" in only_kept
    assert "not medical" not in only_kept


def test_a_language_without_documents_has_an_empty_bar() -> None:
    none = dict.fromkeys(FUNNEL["en"], 0)
    assert "fr" in words(funnel_chart(FUNNEL | {"fr": none}, STEP_TEXTS))


def test_equal_data_give_equal_bytes() -> None:
    first = loss_chart(LOSSES)
    funnel = funnel_chart(FUNNEL, STEP_TEXTS)
    assert loss_chart(LOSSES) == first
    assert funnel_chart(FUNNEL, STEP_TEXTS) == funnel
