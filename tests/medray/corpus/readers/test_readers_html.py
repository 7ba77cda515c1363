"""Web pages: their main text, title, address and date; and pages made to do harm."""

from __future__ import annotations

import json
import re
from collections import Counter
from encodings.aliases import aliases
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.corpus.documents import HTML_ERROR, INVALID_UTF8, NO_MAIN_TEXT, NO_TEXT, TOO_LARGE
from medray.corpus.inputs import HtmlConfig
from medray.corpus.readers.charsets import declared_encoding, decode_page
from medray.corpus.readers.html import PageReader, with_title
from medray.corpus.readers.html_process import extract

from .reading import entry_of, read, text_only, told

SENTENCE = "The patient was given aspirin for the pain and recovered within three days. "
MAIN = f"<article><p>{SENTENCE * 6}</p><p>{SENTENCE * 4}</p></article>"


def page(body: str = MAIN, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>"


@pytest.fixture(scope="module")
def reader() -> PageReader:
    return PageReader(entry_of(format="html", html={"cpu_limit_s": 1}))


def test_title_text_address_and_date_are_kept(tmp_path: Path) -> None:
    head = (
        "<title>Aspirin after surgery</title>"
        '<link rel="canonical" href="https://clinic.example/aspirin">'
        '<meta property="article:published_time" content="2019-03-04T10:00:00Z">'
    )
    menu = "<nav><a href=/>Home</a><a href=/b>Book an appointment now</a></nav>"
    (tmp_path / "a.html").write_text(page(menu + MAIN, head))
    (row,) = read([tmp_path / "a.html"])
    lines = row["text"].split("\n")
    assert lines[0] == "Aspirin after surgery"
    assert lines[1].startswith("The patient was given aspirin")
    assert "appointment" not in row["text"]
    assert row["url"] == "https://clinic.example/aspirin"
    assert row["timestamp"] == "2019-03-04"
    assert row["source"] == tmp_path.name


def test_a_page_that_tells_nothing_has_its_files_name(tmp_path: Path) -> None:
    (tmp_path / "a.htm").write_text(page())
    (row,) = read([tmp_path / "a.htm"], html={"title": False})
    assert (row["url"], row["timestamp"]) == ("a.htm", "")


@pytest.mark.parametrize(
    ("text", "title", "expected"),
    [
        ("Body.", "A title", "A title\nBody."),
        ("A Title\nBody.", "a title", "A Title\nBody."),
        ("Health\nＡ　title\nBody.", "A title", "Health\nＡ　title\nBody."),
        ("1\n2\n3\nA title", "A title", "A title\n1\n2\n3\nA title"),
        ("Body.", "", "Body."),
        ("Body.", " A \n title ", "A title\nBody."),
    ],
)
def test_the_title_stands_first_and_once(text: str, title: str, expected: str) -> None:
    assert with_title(text, title) == expected


@pytest.mark.parametrize("favour", ["balanced", "recall", "precision"])
def test_comments_and_tables_are_kept_where_wanted(favour: Literal["recall"]) -> None:
    table = "<table><tr><td>aspirin</td><td>seventy-five mg daily</td></tr></table>"
    remark = f'<div id="comments"><p class="comment">{"Helped my neighbour. " * 8}</p></div>'
    markup = page(f"<article><p>{SENTENCE * 9}</p>{table}</article>{remark}")

    def text_with(**settings: bool) -> str:
        return str(extract(markup, HtmlConfig(favour=favour, **settings).model_dump())["text"])

    assert "seventy-five" in text_with()
    assert "seventy-five" not in text_with(tables=False)
    assert "neighbour" not in text_with()
    assert "neighbour" in text_with(comments=True)


@pytest.mark.parametrize("kind", [pa.string(), pa.binary()])
def test_a_column_may_hold_pages(tmp_path: Path, kind: pa.DataType) -> None:
    link = '<link rel="canonical" href="https://x.example/b">'
    dated = page(head=f'{link}<meta name="date" content="2018-05-06">')
    pages = pa.array([page(), dated, "", None]).cast(kind)
    table = {"html": pages, "url": ["given", None, "u", "u"], "timestamp": ["then", "", "", ""]}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    columns = text_only("html") | {"url": "url", "timestamp": "timestamp"}
    rows = read([tmp_path / "a.parquet"], content="html", columns=columns)
    assert told(rows)[2:] == [NO_MAIN_TEXT, NO_TEXT]
    assert rows[0]["text"].startswith("The patient")
    assert [row["url"] for row in rows] == ["given", "https://x.example/b", "u", "u"]
    assert [row["timestamp"] for row in rows] == ["then", "2018-05-06", "", ""]


def test_json_lines_may_hold_pages(tmp_path: Path) -> None:
    records = [{"html": page(), "url": "u"}, {"html": "\ud800"}, {"html": 1}, {"html": "no page"}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    rows = read([tmp_path / "a.jsonl"], content="html", columns=text_only("html") | {"url": "url"})
    assert rows[0]["text"].startswith("The patient")
    assert [row["problem"] for row in rows] == [None, INVALID_UTF8, NO_TEXT, NO_MAIN_TEXT]


PASSAGES = {
    "gb2312": "患者因发热三天入院，给予抗生素治疗后体温恢复正常。",
    "shift_jis": "患者は三日間の発熱で入院し、抗生物質の投与により解熱した。",
    "euc-jp": "患者は三日間の発熱で入院し、抗生物質の投与により解熱した。",
    "windows-1251": "Пациент поступил с лихорадкой и получил лечение антибиотиками.",
    "iso-8859-1": "Le patient, fiévreux depuis l’été, a reçu des antibiotiques à l’hôpital.",
    "utf-16": "El niño ingresó con fiebre y recibió antibióticos en el hospital.",
}


@pytest.mark.parametrize("charset", PASSAGES)
def test_a_page_is_read_in_the_charset_it_declares(charset: str) -> None:
    text = f'<meta charset="{charset}"><p>{PASSAGES[charset] * 5}</p>'
    assert decode_page(text.encode("cp1252" if charset == "iso-8859-1" else charset)) == text


@pytest.mark.parametrize(
    ("declared", "meant"),
    [
        (b'<meta charset="gb2312">', "gb18030"),
        (b"<META content='text/html; charset=ISO-8859-1'>", "cp1252"),
        (b"<meta charset = Shift_JIS >", "cp932"),
        (b"<meta charset=utf-16>", "utf-8"),
        (b"<meta charset=koi8-r>", "koi8-r"),
        (b"<meta charset=base64>", None),
        (b"<meta charset=unicode_escape>", None),
        (b" " * 5000 + b"<meta charset=koi8-r>", None),
    ],
)
def test_a_declared_charset_is_what_browsers_take_it_for(declared: bytes, meant: str) -> None:
    assert declared_encoding(declared) == meant


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('<meta charset="gb2312">発熱'.encode(), '<meta charset="gb2312">発熱'),
        (b'<meta charset="none-such">' + "été 発熱".encode(), '<meta charset="none-such">été 発熱'),
        ("\ufeffété".encode(), "été"),
        (b'<meta charset="utf-8">' + "発熱".encode() * 99 + b"\xff", None),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe" * 50, None),
    ],
)
def test_a_wrong_declaration_does_not_spoil_a_page(content: bytes, expected: str | None) -> None:
    found = decode_page(content)
    if expected is None and b"charset" in content:
        assert found == '<meta charset="utf-8">' + "発熱" * 99 + "\ufffd"
    else:
        assert found == expected


def test_the_recipes_encoding_goes_before_the_pages(tmp_path: Path) -> None:
    words = "Пациент поступил с лихорадкой и получил лечение. " * 9
    markup = page(f"<article><p>{words}</p></article>", '<meta charset="iso-8859-1">')
    (tmp_path / "a.html").write_bytes(markup.encode("koi8-r"))
    (row,) = read([tmp_path / "a.html"], encoding="koi8-r")
    assert "Пациент поступил" in row["text"]


@given(st.sampled_from(sorted(aliases)), st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(name: str, content: bytes) -> None:
    text = decode_page(f"<meta charset={name}>".encode() + content)
    assert text is None or isinstance(text, str)


HOSTILE = {
    "no bytes": "",
    "depth of blocks": page("<div>" * 50_000 + SENTENCE),
    "depth of spans": page("<b>" * 20_000 + SENTENCE),
    "depth of lists": page("<ul><li>" * 3000 + SENTENCE),
    "tags never closed": "<html><body>" + "<div><p" * 50_000,
    "comment never closed": page("<!-- " * 50_000),
    "one long word": page(f"<p>{'x' * 300_000}</p>"),
    "nested data": page(head='<script type="application/ld+json">' + '{"a":[' * 5000 + "</script>"),
    "names that are none": page(f"<article><p>&#xd800; &#x110000; {SENTENCE * 9}</p></article>"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_page_stops_a_run(reader: PageReader, name: str) -> None:
    found = reader(HOSTILE[name])
    assert found.problem in (None, NO_MAIN_TEXT, HTML_ERROR)
    assert (found.text is None) == (found.problem is not None)
    assert reader(page()).text is not None


def test_a_page_that_takes_for_ever_is_left(reader: PageReader) -> None:
    attributes = " ".join(f"a{number}=b" for number in range(200_000))
    found = reader(page(f"<p {attributes}>{SENTENCE}</p>"))
    assert (found.text, found.problem) == (None, HTML_ERROR)
    # The next page is read by a new process.
    assert reader(page()).text is not None


def test_a_page_beyond_the_limit_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(page())
    (tmp_path / "b.html").write_bytes(bytes(range(256)) * 40)
    paths = [tmp_path / "a.html", tmp_path / "b.html"]
    assert told(read(paths, html={"maximum_bytes": 500})) == [TOO_LARGE, TOO_LARGE]
    assert told(read(paths))[1] == INVALID_UTF8


def word_f1(text: str, gold: str, spaced: bool) -> float:
    """Return F1 of the bags of words, of characters where words are not told apart."""
    pattern = r"\w+" if spaced else r"\w"
    found, wanted = (Counter(re.findall(pattern, t.casefold())) for t in (text, gold))
    shared = (found & wanted).total()
    return 2 * shared / (found.total() + wanted.total())


def test_real_pages_give_their_main_text(real_data: Path) -> None:
    folder = real_data / "pages"
    manifest: list[dict[str, Any]] = json.loads((folder / "manifest.json").read_text())
    scores, must, must_not, dates = [], [], [], []
    for entry in manifest:
        (row,) = read([folder / entry["file"]], html={"title": False})
        stem = folder / "gold" / entry["file"].removesuffix(".html")
        text = row["text"] or ""
        if Path(f"{stem}.txt").is_file():
            gold = Path(f"{stem}.txt").read_text()
            scores.append(word_f1(text, gold, entry["lang"] not in ("zh", "ja")))
        elif "with" in (told_of := json.loads(Path(f"{stem}.json").read_text())):
            must += [string in text for string in told_of["with"]]
            must_not += [string in text for string in told_of["without"]]
            dates += [row["timestamp"] == told_of["date"]] if "date" in told_of else []
    # Measured with trafilatura 2.3.1: F1 0.925 of 15 pages, 28 of 29, 2 of 31, 7 of 9 dates.
    assert sum(scores) / len(scores) > 0.9
    assert sum(must) >= 27
    assert sum(must_not) <= 3
    assert sum(dates) >= 7
