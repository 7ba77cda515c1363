from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from medray.evaluation.report import STEP_TEXTS, render, results_of
from medray.evaluation.statistics import macro_mean, mean
from medray.intervals import proportion
from medray.storage.artifact import Artifact, commit
from medray.storage.location import Location

FUNNEL = dict.fromkeys(STEP_TEXTS, 0) | {
    "documents": 1234567,
    "filter": 1,
    "duplicates": 2,
    "kept": 4,
    "characters": 5,
    "tokens": 6,
    "windows": 7,
}
TRIAL = {"learning_rate": 5e-4, "steps": 3, "loss": 5.0}
BEST = TRIAL | {"lora_rank": 16, "validation_loss": 4.25, "stopped_early": False}
WORST = TRIAL | {"lora_rank": 4, "validation_loss": 6.5, "stopped_early": True}
EXAM = {
    "questions": 8,
    "several_answers": 0,
    "likelihood_accuracy": proportion(2, 8) | {"chance": 0.25},
    "generated_accuracy": proportion(0, 0) | {"chance": None},
    "unparsed": 3,
    "bleu_1": mean([0.5]),
    "rouge_1": mean([]),
    "rouge_l": mean([0.25]),
}
HOSTILE = "<script>alert('x')</script> & <img src=http://evil.example/x>"
# By part: kind, counts, results.
PARTS: dict[str, tuple[str, dict[str, int], dict[str, Any]]] = {
    "ocr": (
        "pages",
        {},
        {
            "statuses": ["text", HOSTILE],
            "left_out": [{"language": "ru", "pages": 2, "reason": HOSTILE}],
            "languages": {
                "en": {
                    "engine": HOSTILE,
                    "pages": 2,
                    "statuses": {"text": 2},
                    "characters": 900,
                    "confidence": 0.9876,
                },
                "fr": {
                    "engine": "x",
                    "pages": 1,
                    "statuses": {},
                    "characters": 0,
                    "confidence": None,
                },
            },
        },
    ),
    "curate": (
        "corpus",
        FUNNEL,
        {"funnel": {"en": FUNNEL, "zh": FUNNEL | {"tokens": 0, "windows": 0}}},
    ),
    "pretrain": (
        "model",
        {"steps": 60, "windows": 7, "windows_seen": 9},
        {"loss": [[1, 8.5], [60, 6.25]], "first_loss": 8.5, "last_loss": 6.25, "epochs": 1.5},
    ),
    "finetune": (
        "adapter",
        {"training_questions": 36, "validation_questions": 12, "steps": 30},
        {
            "loss": [[1, 5.5], [30, 4.5]],
            "validation_loss": [[30, 4.75]],
            "first_loss": 5.5,
            "last_loss": 4.5,
            "method": "LoRA of rank 16",
            "language_loss": [[15, {"en": 5.0}], [30, {"en": 4.75}]],
            "validation_targets": {"en": 4321},
        },
    ),
    "sweep": (
        "sweep",
        {"trials": 2, "stopped_early": 1},
        {"trials": [BEST, WORST], "best": BEST},
    ),
    "benchmark": (
        "benchmark",
        {"questions": 16, "generated_answers": 0},
        {
            "languages": {
                "en": EXAM,
                "ja": EXAM | {"likelihood_accuracy": proportion(8, 8) | {"chance": 0.2}},
                # Every question has two right letters: 1 of C(5, 2) by chance.
                "fr": EXAM
                | {
                    "several_answers": 8,
                    "likelihood_accuracy": proportion(0, 0) | {"chance": None},
                    "generated_accuracy": proportion(1, 8) | {"chance": 0.1},
                },
            },
            "macro": {
                "likelihood_accuracy": macro_mean([[1, 0, 0, 0] * 2, [1] * 8]) | {"chance": 0.225},
                "generated_accuracy": macro_mean([[1] + [0] * 7]) | {"chance": 0.1},
                "bleu_1": macro_mean([[0.5]] * 3),
                "rouge_1": macro_mean([]),
                "rouge_l": macro_mean([[0.25]] * 3),
            },
        },
    ),
}


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Artifact]:
    made = {}
    for number, (part, (kind, counts, results)) in enumerate(PARTS.items()):
        made[part] = commit(
            Location.of(tmp_path / part),
            kind=kind,
            stage=f"{part}-stage",
            job=part,
            job_version=1,
            fingerprint=str(number) * 32,
            config={},
            inputs={},
            counts=counts,
            results=results,
            seconds=1.25,
            timings_s={"part": 1.0},
        )
    return made


class Page(HTMLParser):
    """The tags, ids and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def sections(self) -> list[str]:
        return [attributes["id"] for tag, attributes in self.tags if tag == "section"]


def test_the_page_has_every_part(parts: dict[str, Artifact]) -> None:
    page = Page(render("quickstart", parts))
    assert page.sections == [
        "stages",
        "ocr",
        "corpus",
        "pretrain",
        "finetune",
        "sweep",
        "benchmark",
    ]
    assert [tag for tag, _ in page.tags].count("svg") == 3
    assert all(f"{part}-stage" in page.text for part in PARTS)


def test_the_page_loads_nothing_from_anywhere(parts: dict[str, Artifact]) -> None:
    text = render("quickstart", parts)
    for tag, attributes in Page(text).tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed", "base")
        for name in ("src", "href", "xlink:href", "action", "data", "srcset", "poster"):
            assert attributes.get(name, "#").startswith("#")
    assert "@import" not in text
    assert "url(http" not in text


def test_the_page_shows_text_and_runs_none(parts: dict[str, Artifact]) -> None:
    page = Page(render("quickstart", parts))
    assert page.text.count("alert('x')") >= 3
    assert "http://evil.example" in page.text


def test_the_page_tells_the_numbers(parts: dict[str, Artifact]) -> None:
    text = Page(render("quickstart", parts)).text
    assert "1 234 567" in text
    assert "Loss 8.500 → 6.250 nats per token over 60 steps, 1.50 epochs" in text
    assert "5.500 → 4.500" in text
    assert "0.988" in text
    assert "stopped 1 of 2 trials early" in text
    # Wilson's interval of 2 of 8.
    assert "25.0 % [7.1, 59.1]" in text
    assert "62.5 %" in text


def test_what_was_not_measured_is_a_dash(parts: dict[str, Artifact]) -> None:
    text = Page(render("quickstart", {"benchmark": parts["benchmark"]})).text
    assert "–" in text
    assert "None" not in text


def test_the_best_trial_is_marked(parts: dict[str, Artifact]) -> None:
    rows = [a for tag, a in Page(render("quickstart", parts)).tags if tag == "tr"]
    assert [row.get("class") for row in rows].count("best") == 1


def test_what_is_at_chance_is_said_of_each_way(parts: dict[str, Artifact]) -> None:
    text = Page(render("quickstart", parts)).text
    assert "Not told apart from chance by option likelihood: English." in text
    assert "Not told apart from chance by generation: French." in text


def test_a_chance_stands_beside_each_accuracy(parts: dict[str, Artifact]) -> None:
    text = Page(render("quickstart", parts)).text
    likelihood, generation = text.split(" by likelihood questions ")[1].split(" by generation ")
    # Questions, several right letters, n, chance, accuracy.
    assert "English 8 0 8 25.0 % 25.0 % [7.1, 59.1]" in likelihood
    assert "French 8 8 0 – – macro" in likelihood
    # Unparsed, n, chance, accuracy: Wilson's interval of 1 of 8.
    assert "English 3 0 – – Japanese" in generation
    assert "French 3 8 10.0 % 12.5 % [2.2, 47.1]" in generation


def test_the_macro_average_has_languages_n_chance_and_interval(
    parts: dict[str, Artifact],
) -> None:
    text = Page(render("quickstart", parts)).text
    # By likelihood: of 2 of 8 the bootstrap draws 0 to 4 of 8, of 8 of 8 it draws that alone.
    assert "macro average, languages: 2 16 22.5 % 62.5 % [50.0, 75.0] by generation" in text
    assert "macro average, languages: 1 8 10.0 % 12.5 % [" in text
    # Three languages of one value each: Hoeffding's half-width sqrt(ln 40 / 2 / 3) = 0.784.
    assert "macro average, languages: 3 3 50.0 % [0.0, 100.0] – 25.0 % [0.0, 100.0]" in text


@pytest.mark.parametrize("part", PARTS)
def test_a_page_of_one_part_has_that_part_alone(parts: dict[str, Artifact], part: str) -> None:
    sections = Page(render("quickstart", {part: parts[part]})).sections
    assert sections == ["stages", "corpus" if part == "curate" else part]


def test_equal_artifacts_give_an_equal_page(parts: dict[str, Artifact]) -> None:
    assert render("quickstart", parts) == render("quickstart", parts)


def test_the_results_hold_counts_results_and_times_apart(parts: dict[str, Artifact]) -> None:
    results = results_of("quickstart", 7, parts)
    assert (results["recipe"], results["seed"]) == ("quickstart", 7)
    assert list(results["seconds"]) == list(PARTS)
    assert results["sweep"]["best"] == BEST
    assert results["sweep"]["counts"] == {"trials": 2, "stopped_early": 1}
    assert results["pretrain"]["fingerprint"] == "2" * 32
    without_times = {key: value for key, value in results.items() if key != "seconds"}
    assert "1.25" not in json.dumps(without_times)
