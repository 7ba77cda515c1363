from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus_decisions import decision, decisions, table
from medray.corpus.balance import BalanceConfig, plan_balance
from medray.corpus.reports.report import KEYWORDS_SHOWN, SOURCES_SHOWN, Details, charts, render
from medray.corpus.reports.statistics import (
    Summary,
    merge,
    summarise,
    summarise_clusters,
    summarise_keywords,
)
from medray.intervals import proportion

HOSTILE = "<script>alert('x')</script><img src=http://evil.example/x>"
SPAN = {"kind": "BIRTH_DATE", "start": 0, "end": 4}


def full_summary() -> Summary:
    """Documents whose fates are easy to count: 10 in English, 2 in Russian."""
    rows = [decision("filter", "keyword_count", density=0.01, characters=50)] * 4
    rows += [decision("language", "language", detected_language="de", source="OSCAR")]
    rows += [decision("duplicates", "near_duplicate", jaccard=0.83, source="OSCAR")] * 2
    rows += [decision("decontamination", "contaminated", benchmark_item="exam/q1")]
    rows += [
        decision(
            density=0.06,
            characters=2000,
            cleaned_characters=1900,
            copies=2,
            spans=[SPAN, SPAN],
            benchmark_item="exam/q2",
            detected_language="en",
        )
    ] * 2
    rows += [decision("read", "no_text", language="ru", source=None)]
    rows += [decision(language="ru", source=HOSTILE, density=0.03, characters=700)]
    keywords = {"language": ["ru"], "keyword": ["печень"], "documents": [3], "kept_documents": [2]}
    parts = [summarise(table(*rows)), summarise_keywords(pa.table(keywords))]
    return merge([*parts, summarise_clusters({2: 5, 3: 4, 6: 1, 8: 1, 1000: 2})])


DETAILS = Details(
    thresholds={"en": 0.04, "ru": 0.02},
    alarms=[f"OSCAR lost 66 %: {HOSTILE}"],
    balance=plan_balance(
        {("en", "mC4"): (2, 4000), ("ru", "mC4"): (1, 700)},
        BalanceConfig(mode="shares", shares={"en": 0.5, "ru": 0.5}, maximum_copies=2),
    ),
    audit={"en": proportion(98, 100) | {"unmarked": 3}},
)


class Page(HTMLParser):
    """Tags, section ids, and every table as rows of cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.texts: list[str] = []
        self._open = False
        self._section = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag == "section":
            self._section = dict(attributes)["id"] or ""
            self.tables[self._section] = []
        elif tag == "tr":
            self.tables[self._section].append([])
        elif tag in ("td", "th"):
            self.tables[self._section][-1].append("")
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._open = False

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._open:
            self.tables[self._section][-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).replace("\u202f", " ").split())

    def row(self, section: str, *starts: str) -> list[str]:
        """Return the one row whose first cells are these."""
        cells = [[cell.replace("\u202f", " ").strip() for cell in r] for r in self.tables[section]]
        (row,) = [row for row in cells if row[: len(starts)] == list(starts)]
        return row[len(starts) :]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(HOSTILE, full_summary(), DETAILS))


def test_the_page_has_every_part_alarms_first(page: Page) -> None:
    assert list(page.tables) == [
        "alarms",
        "funnel",
        "lengths",
        "densities",
        "keywords",
        "duplicates",
        "sources",
        "languages",
        "deidentified",
        "benchmarks",
        "balance",
        "audit",
    ]


def test_the_funnel_tells_what_is_left_after_every_step_and_why(page: Page) -> None:
    left = page.tables["funnel"][0]
    assert [cell.removeprefix("after ") for cell in left[2:7]] == [
        "read",
        "filter",
        "language",
        "duplicates",
        "decontamination",
    ]
    # read, after each of five steps, kept of read, copies, characters in the corpus
    english = ["10", "10", "6", "5", "3", "2", "20.0 %", "4", "7 600"]
    assert page.row("funnel", "English") == english
    assert page.row("funnel", "Russian") == ["2", *["1"] * 5, "50.0 %", "1", "700"]
    assert page.row("funnel", "all") == ["12", "11", "7", "6", "4", "3", "25.0 %", "5", "8 300"]
    assert page.row("funnel", "filter", "keyword count") == ["4", "0", "4"]
    assert page.row("funnel", "read", "no text") == ["0", "1", "1"]


def test_sources_tell_what_they_lost_as_duplicates(page: Page) -> None:
    # documents, kept, kept of all, lost of those that reached the search, characters
    assert page.row("sources", "OSCAR", "English") == ["3", "0", "0.0 %", "100.0 %", "0"]
    assert page.row("sources", "mC4", "English") == ["7", "2", "28.6 %", "0.0 %", "7 600"]
    assert page.row("sources", "(none named)", "Russian") == ["1", "0", "0.0 %", "–", "0"]


def test_the_other_tables_tell_their_counts(page: Page) -> None:
    assert page.row("deidentified", "birth date") == ["4 in 2", "0", "4"]
    # items, documents touched, documents dropped
    assert page.row("benchmarks", "exam") == ["2", "3", "1"]
    assert page.row("benchmarks", "exam/q2") == ["English", "2"]
    assert page.row("languages", "English", "de") == ["1"]
    assert page.row("duplicates", "0.80–0.85") == ["2"]
    assert page.row("duplicates", "2") == ["5", "5"]
    assert page.row("duplicates", "3") == ["4", "8"]
    assert page.row("duplicates", "5–8") == ["2", "12"]
    assert page.row("duplicates", "513–1,024") == ["2", "1 998"]
    assert page.row("keywords", "печень") == ["3", "2"]
    assert page.row("densities", "6.0 %") == ["2 / 0", "0 / 0"]
    assert page.row("lengths", "1 778") == ["2 / 0", "0 / 0"]
    assert page.row("audit", "English") == ["100", "3", "98.0 % [93.0, 99.4]"]
    assert page.row("balance", "mC4", "Russian") == ["700", "2 350", "2", "1 400"]
    assert "ru: 1,400 of 2,350 characters" in page.text


def test_the_page_shows_text_and_runs_and_loads_nothing(page: Page) -> None:
    assert page.text.count("alert('x')") >= 3
    for tag, attributes in page.tags:
        assert tag not in ("script", "img", "link", "iframe", "object", "embed", "base")
        assert not {"src", "href", "srcset", "onclick"} & attributes.keys()


def test_every_wide_table_scrolls_and_every_chart_has_a_name(page: Page) -> None:
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
        if attributes.get("class") == "scroll":
            assert attributes["tabindex"] == "0"
            assert attributes["aria-label"]
    headers = [a for tag, a in page.tags if tag == "th"]
    assert all(a.get("scope") in ("col", "row") for a in headers)


def test_the_charts_are_files_of_their_own() -> None:
    made = charts(full_summary(), DETAILS)
    assert set(made) == {
        *("funnel", "funnel_medical", "clusters", "similarities", "keywords_ru"),
        *("length_en", "length_ru", "density_en", "density_ru"),
    }
    for svg in made.values():
        assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "печень" in made["keywords_ru"]
    # The first funnel has all 10 English documents, the second those 6 behind the filter.
    assert "filter: 4 of 10" in made["funnel"]
    assert "kept: 2 of 6" in made["funnel_medical"]
    assert made["density_en"].count("stroke-dasharray") == 1
    assert charts(full_summary(), Details())["density_en"].count("stroke-dasharray") == 0


def test_many_sources_are_cut_to_the_largest_and_the_rest_in_one_row() -> None:
    rows = [decision(source=f"s{number}") for number in range(40) for _ in range(1 + number)]
    found = Page(render("x", summarise(table(*rows)), Details()))
    assert len(found.tables["sources"]) == 1 + SOURCES_SHOWN + 1
    rest = sum(1 + number for number in range(40 - SOURCES_SHOWN))
    assert found.row("sources", f"all others ({40 - SOURCES_SHOWN})", "")[0] == str(rest)


def test_the_most_frequent_keywords_are_shown() -> None:
    words = [f"w{number:03}" for number in range(50)]
    counts = list(range(1, 51))
    keywords = pa.table(
        {"language": ["en"] * 50, "keyword": words, "documents": counts, "kept_documents": counts}
    )
    summary = merge([summarise(table(decision())), summarise_keywords(keywords)])
    shown = [row[0] for row in Page(render("x", summary, Details())).tables["keywords"][1:]]
    assert shown == words[::-1][:KEYWORDS_SHOWN]


def test_what_was_not_done_has_no_place_on_the_page() -> None:
    found = Page(render("x", summarise(table(decision(characters=5))), Details()))
    assert list(found.tables) == ["funnel", "lengths", "densities", "sources"]


@settings(max_examples=20)
@given(st.lists(decisions(), max_size=8))
def test_any_decisions_give_a_page_and_equal_ones_an_equal_page(rows: list[dict[str, Any]]) -> None:
    summary = summarise(table(*rows))
    text = render("x", summary, Details())
    assert text == render("x", merge([summary]), Details())
    assert not re.search(r"\bNone\b|\bnan\b", Page(text).text)
