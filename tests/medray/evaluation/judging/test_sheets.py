"""The sheets as files, and the page in a real browser: headless Chromium, which asks no host."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from medray.errors import InputError
from medray.evaluation.judging.entries import Entry
from medray.evaluation.judging.filled import import_sheets
from medray.evaluation.judging.protocol import load
from medray.evaluation.judging.sheet_key import SheetKey
from medray.evaluation.judging.sheets import export, naming_themselves
from medray.storage.location import Location

HOSTILE = '=</script><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)> & "'
ENTRIES = [
    Entry("q1", "发热三天，怎么办？", "Cultures.", {"ours": "Good.\nRest.", "theirs": HOSTILE}),
    Entry("q2", "+Why?", "Since.", {"ours": "-1 \u2028 2", "theirs": "x"}),
]


def cells(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))


def exported(folder: Path, protocol: str, entries: list[Entry] = ENTRIES) -> SheetKey:
    return export(entries, load(protocol), ["Wang", "李"], Location.of(folder), seed=5)


def test_a_rater_has_a_csv_and_a_page_and_nobody_a_systems_name(tmp_path: Path) -> None:
    key = exported(tmp_path, "bentsao")
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == sorted(
        ["key.json", *(f"sheet_{r}.{e}" for r in ("Wang", "李") for e in ("csv", "html"))]
    )
    for file in tmp_path.glob("sheet_*"):
        text = file.read_text()
        assert "ours" not in text.replace("colours", "")
        assert "theirs" not in text
    rows = cells(tmp_path / "sheet_Wang.csv")
    assert [(row["item"], row["answer"]) for row in rows] == [
        ("1", "A"), ("1", "B"), ("2", "A"), ("2", "B"),
    ]  # fmt: skip
    assert {row["depth"] + row["completeness"] + row["remark"] for row in rows} == {""}
    sheet = rows[0]["sheet"]
    assert key.raters[sheet] == "Wang"
    for row in rows:
        item = int(row["item"]) - 1
        text = ENTRIES[item].answers[key.letters(sheet, item)[row["answer"]]]
        assert row["text"] in (text, f"'{text}")
        assert not row["text"].startswith(("=", "-"))
    assert rows[2]["question"] == "'+Why?"


def test_pairs_stand_in_one_row_and_a_reference_only_where_it_is_needed(tmp_path: Path) -> None:
    exported(tmp_path / "pairs", "pairwise")
    (first, _) = cells(tmp_path / "pairs" / "sheet_Wang.csv")
    assert list(first) == [
        "sheet", "item", "question", "answer_a", "answer_b", "choice", "remark",
    ]  # fmt: skip
    exported(tmp_path / "rationale", "mmedbench_rationale")
    rows = cells(tmp_path / "rationale" / "sheet_Wang.csv")
    assert [row["reference"] for row in rows] == ["Cultures.", "Cultures.", "Since.", "Since."]


def test_sheets_that_were_handed_out_are_not_written_over(tmp_path: Path) -> None:
    exported(tmp_path, "bentsao")
    before = (tmp_path / "sheet_Wang.csv").read_bytes()
    with pytest.raises(InputError, match=r"key\.json: there are sheets already"):
        exported(tmp_path, "pairwise")
    assert (tmp_path / "sheet_Wang.csv").read_bytes() == before
    with pytest.raises(InputError, match=r"--raters: '\.\./x'; use letters"):
        export(ENTRIES, load("pairwise"), ["../x"], Location.of(tmp_path / "new"), 0)


def test_answers_that_name_a_system_are_counted() -> None:
    answers = {"MedGLM": "As medglm, I think", "Other": "medglms", "x": "x"}
    entries = [Entry("1", "Q", "", answers), Entry("2", "Q", "", answers | {"Other": "other."})]
    assert naming_themselves(entries) == {"MedGLM": 2, "Other": 1}
    assert naming_themselves([Entry("1", "Q", "", {"x": "x"})]) == {}


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))


@pytest.mark.parametrize("protocol", ["bentsao", "pairwise", "medglm_short_answers"])
def test_the_page_loads_nothing_and_runs_no_text_of_a_model(tmp_path: Path, protocol: str) -> None:
    exported(tmp_path, protocol)
    tags = Tags((tmp_path / "sheet_Wang.html").read_text()).tags
    assert [tag for tag, _ in tags].count("script") == 1
    for tag, attributes in tags:
        assert tag not in ("img", "link", "iframe", "object", "base", "form")
        assert not {"src", "href", "action"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
    policy = next(a["content"] for tag, a in tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="pip install playwright, for a browser to try the page in"
    )
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    with playwright.sync_playwright() as driver:
        if path is None and not Path(driver.chromium.executable_path).is_file():
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        # Chromium's sandbox does not start for root, which tests in containers run as.
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def saved(page: Any, file: Path) -> Location:
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(file)
    return Location.of(file)


def click(page: Any, row: int, column: str, value: str) -> None:
    page.check(f'input[data-row="{row}"][data-column="{column}"][value="{value}"]')


def test_marks_made_in_the_browser_come_back_by_system(browser: Any, tmp_path: Path) -> None:
    key = exported(tmp_path, "bentsao")
    context = browser.new_context()
    page = context.new_page()
    faults: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((tmp_path / "sheet_Wang.html").as_uri())
    assert HOSTILE in page.text_content("main")
    marks = {}
    for row in range(4):
        for place, column in enumerate(("completeness", "depth", "professionalism")):
            marks[row, column] = (row + place) % 4
            click(page, row, column, str(marks[row, column]))
    page.fill('input[data-row="1"][data-column="remark"]', '=1+1, "quoted"')
    assert page.text_content("#count") == "12 / 12 已评"
    assert page.locator("section.done").count() == 2
    # What was marked is still there when the page is opened again.
    page.reload()
    assert page.text_content("#count") == "12 / 12 已评"
    filled = import_sheets([saved(page, tmp_path / "filled_Wang.csv")], key)
    context.close()
    sheet = next(iter(key.raters))
    expected = {
        (f"q{row // 2 + 1}", key.letters(sheet, row // 2)["AB"[row % 2]], column, value)
        for (row, column), value in marks.items()
    }
    assert {(m.item_id, m.system, m.dimension, m.value) for m in filled.marks} == expected
    assert [remark.text for remark in filled.remarks] == ['=1+1, "quoted"']
    blank = [
        row | {"completeness": "", "depth": "", "professionalism": "", "remark": ""}
        for row in cells(tmp_path / "filled_Wang.csv")
    ]
    assert blank == cells(tmp_path / "sheet_Wang.csv")
    assert faults == []
    assert all(url.startswith(("file://", "blob:")) for url in requests)


def test_choices_numbers_and_what_is_missing(browser: Any, tmp_path: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []

    def accept(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", accept)
    key = exported(tmp_path / "pairs", "pairwise")
    page.goto((tmp_path / "pairs" / "sheet_Wang.html").as_uri())
    click(page, 0, "choice", "tie")
    place = saved(page, tmp_path / "pairs" / "filled.csv")
    assert len(asked) == 1
    assert re.search("Marks are missing", asked[0])
    filled = import_sheets([place], key, allow_missing=True)
    assert [(mark.item_id, mark.value) for mark in filled.marks] == [("q1", 0.5)]
    assert filled.missing == {"Wang": 1}
    key = exported(tmp_path / "points", "medglm_short_answers")
    page.goto((tmp_path / "points" / "sheet_Wang.html").as_uri())
    for row in range(4):
        page.fill(f'input[data-row="{row}"][data-column="points"]', str(row + 0.5))
    filled = import_sheets([saved(page, tmp_path / "points" / "filled.csv")], key)
    assert sorted(mark.value for mark in filled.marks) == [0.5, 1.5, 2.5, 3.5]
    assert len(asked) == 1
    context.close()
