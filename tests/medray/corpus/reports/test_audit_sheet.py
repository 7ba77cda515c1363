from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.reports.audit import SAMPLE, Sample
from medray.corpus.reports.audit_sheet import COLUMNS, FORMULA_STARTS, read_marked, to_csv, to_html
from medray.errors import InputError
from medray.intervals import proportion
from medray.storage.location import Location

HOSTILE = (
    '</script><script>alert("x")</script><img src=http://evil.example/x onerror=alert(1)> & \'"'
)
# Runs in the page after its own script: marks by key and by click, then exports.
MARKING = """
<script>
const press = (key) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
URL.createObjectURL = (blob) => {
  blob.text().then((text) => { document.getElementById("exported").textContent = text; });
  return "#";
};
for (const key of ["y", "n", "y", "k", "u"]) press(key);
const remark = document.querySelectorAll(".remark")[1];
remark.value = '=1+1, "quoted"';
remark.dispatchEvent(new Event("input", { bubbles: true }));
document.querySelectorAll("input[value=no]")[3].click();
document.getElementById("export").click();
</script><pre id="exported"></pre></body>"""


def sample(*sentences: str, language: str = "en") -> Sample:
    rows = [
        {
            "language": language,
            "rank": number,
            "document_id": f"id:{number}",
            "sentence_number": number,
            "sentence": sentence,
            "before": "before",
            "after": "",
        }
        for number, sentence in enumerate(sentences)
    ]
    return Sample(pa.Table.from_pylist(rows, schema=SAMPLE), {language: 1_234_567})


def cells(sheet: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sheet.decode("utf-8-sig"), newline="")))


def marked(folder: Path, *rows: tuple[str, str, str], delimiter: str = ",") -> Location:
    """Write a sheet of (number, language, medical) rows with all its columns."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter)
    writer.writerow(COLUMNS)
    for number, language, mark in rows:
        writer.writerow([number, language, "id", "A sentence; or, two.", "", "", mark, "remark"])
    path = folder / "marked.csv"
    path.write_text(stream.getvalue(), encoding="utf-8-sig")
    return Location.of(path)


def test_the_sheet_has_a_row_a_sentence_and_room_for_the_mark() -> None:
    sheet = to_csv(sample("Первое, «предложение».", "二番目。"))
    assert sheet.startswith(b"\xef\xbb\xbf")
    first, second = cells(sheet)
    assert tuple(first) == COLUMNS
    assert first["sentence"] == "Первое, «предложение»."
    assert (second["number"], second["document_id"], second["sentence"]) == (
        "2",
        "id:1",
        "二番目。",
    )
    assert {row[name] for row in (first, second) for name in ("medical", "remark")} == {""}


@given(st.text(max_size=30))
def test_no_cell_is_a_formula_and_no_text_is_lost(text: str) -> None:
    (row,) = cells(to_csv(sample(text)))
    assert not any(cell.startswith(FORMULA_STARTS) for cell in row.values())
    assert row["sentence"] in (text, f"'{text}")


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "＝1"])
def test_a_formula_is_made_text(text: str) -> None:
    assert cells(to_csv(sample(text)))[0]["sentence"] == f"'{text}"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_marks_become_precision_with_an_interval(tmp_path: Path, delimiter: str) -> None:
    english = [(str(n), "en", "Yes" if n < 98 else "n") for n in range(100)]
    french = [("200", "fr", " y "), ("201", "fr", ""), ("202", "fr", "NO"), ("203", "fr", " ")]
    found = read_marked(marked(tmp_path, *french, *english, delimiter=delimiter))
    assert found == {
        "en": proportion(98, 100) | {"unmarked": 0},
        "fr": proportion(1, 2) | {"unmarked": 2},
    }
    assert list(found) == ["en", "fr"]
    assert (found["en"]["low"], found["en"]["high"]) == pytest.approx((0.930, 0.9945), abs=5e-4)


def test_a_fresh_sheet_is_all_unmarked(tmp_path: Path) -> None:
    (tmp_path / "audit.csv").write_bytes(to_csv(sample("a", "b")))
    found = read_marked(Location.of(tmp_path / "audit.csv"))
    assert found == {"en": {"value": None, "n": 0, "low": None, "high": None, "unmarked": 2}}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("1", "en", "yes"), ("2", "en", "maybe")], r"row 3: medical is 'maybe'; write yes or no"),
        ([("1", "de", "yes")], r"row 2: no language 'de'; there are en, zh"),
        ([("1", "en", "yes"), ("2", "en", ""), ("1", "fr", "no")], r"row 4: number 1 stands twice"),
    ],
)
def test_a_wrong_row_is_an_input_error_that_names_it(
    tmp_path: Path, rows: list[tuple[str, str, str]], told: str
) -> None:
    with pytest.raises(InputError, match=rf"marked\.csv: {told}"):
        read_marked(marked(tmp_path, *rows))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no column number, language, medical"),
        (b"number,language\n1,en\n", "no column medical"),
        (b"number,language,medical,sentence\n1,fr,,caf\xe9\n", "save it as CSV UTF-8"),
        (b'number,language,medical\n1,en,"yes\n', "no CSV"),
    ],
)  # fmt: skip
def test_what_is_no_sheet_is_an_input_error(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_marked(Location.of(tmp_path / "x.csv"))


def test_a_sheet_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: cannot be read"):
        read_marked(Location.of(tmp_path / "gone.csv"))


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_shows_hostile_text_and_runs_and_loads_none_of_it() -> None:
    page = Tags(to_html(sample(HOSTILE, "x"), HOSTILE))
    assert HOSTILE in page.texts
    assert [tag for tag, _ in page.tags].count("script") == 1
    for tag, attributes in page.tags:
        assert tag not in ("img", "link", "iframe", "object", "base")
        assert not {"src", "href", "onerror", "onclick"} & attributes.keys()
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert [tag for tag, _ in page.tags].count("article") == 2


def test_marks_by_key_and_click_are_exported_as_the_sheet(tmp_path: Path) -> None:
    """In a real browser: y, n, y on three sentences, the third unmarked, a click, a remark."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium to run the page's script in")
    given_sample = sample("One.", "=Two, «2».", HOSTILE, "四。", "Five.")
    page = tmp_path / "audit.html"
    page.write_text(to_html(given_sample, "test").replace("</body>", MARKING), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000"]
    done = subprocess.run(
        [*command, page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    exported = re.search(r'<pre id="exported">(.*?)</pre>', done.stdout, re.DOTALL)
    assert exported is not None
    sheet = unescape(exported[1])
    rows = cells(sheet.encode())
    assert [row["medical"] for row in rows] == ["yes", "no", "", "no", ""]
    assert rows[1]["remark"] == '\'=1+1, "quoted"'
    blank = [row | {"medical": "", "remark": ""} for row in rows]
    assert blank == cells(to_csv(given_sample))
    assert "3 of 5 marked" in done.stdout
    (tmp_path / "marked.csv").write_text(sheet, encoding="utf-8")
    found = read_marked(Location.of(tmp_path / "marked.csv"))
    assert found == {"en": proportion(1, 3) | {"unmarked": 2}}
