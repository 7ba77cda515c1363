"""Reading order on synthetic lines: columns, running headers, paragraphs, hyphens."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.scans.engines import Line
from medray.scans.layout import PageText, reading_order

WIDTH, HEIGHT = 1654, 2339
SIZE = 30  # height of a line, px
PITCH = 40


def line(text: str, left: float, top: float, right: float, height: float = SIZE) -> Line:
    bottom = top + height
    return Line(((left, top), (right, top), (right, bottom), (left, bottom)), text, 0.99)


def column(texts: Sequence[str], left: float, top: float, right: float) -> list[Line]:
    return [line(text, left, top + PITCH * index, right) for index, text in enumerate(texts)]


def read(lines: Sequence[Line], language: str = "en") -> PageText:
    return reading_order(lines, WIDTH, HEIGHT, language)


def numbered(word: str, count: int) -> list[str]:
    return [f"{word} line {index:02d} runs on and" for index in range(count)]


def printed(texts: Sequence[str]) -> Counter[str]:
    """Every character but blanks, and the hyphens that joining may take away."""
    return Counter(character for text in texts for character in text if character not in " \n-")


def test_two_columns_are_read_one_after_the_other() -> None:
    left, right = numbered("left", 20), numbered("right", 20)
    page = read(column(left, 165, 300, 790) + column(right, 850, 305, 1480))
    assert page.text.split() == " ".join(left + right).split()


def test_three_columns_are_read_one_after_the_other() -> None:
    texts = [numbered(word, 12) for word in ("one", "two", "three")]
    lines = [
        box
        for index, rows in enumerate(texts)
        for box in column(rows, 165 + 450 * index, 300, 575 + 450 * index)
    ]
    in_order = [row for rows in texts for row in rows]
    assert read(lines).text.split() == " ".join(in_order).split()


def test_print_across_the_gutter_ends_the_columns_above_it() -> None:
    upper = column(numbered("a", 6), 165, 300, 790) + column(numbered("b", 6), 850, 300, 1480)
    across = [line("A heading across both columns", 300, 600, 1300, 45)]
    lower = column(numbered("c", 6), 165, 700, 790) + column(numbered("d", 6), 850, 700, 1480)
    words = read(upper + across + lower).text.split()
    order = [word for word in words if word in ("a", "b", "c", "d", "heading")]
    assert order == ["a"] * 6 + ["b"] * 6 + ["heading"] + ["c"] * 6 + ["d"] * 6


def test_the_cells_of_a_narrow_table_stay_in_their_rows() -> None:
    cells = [
        box
        for index in range(8)
        for box in (
            line(f"dose{index}", 165, 300 + PITCH * index, 265),
            line(f"{index} mg", 1100, 300 + PITCH * index, 1180),
        )
    ]
    words = read(cells).text.split()
    assert words[:3] == ["dose0", "0", "mg"]


def test_running_header_folio_and_stamp_are_kept_apart() -> None:
    body = column(numbered("body", 30), 165, 300, 1480)
    header = line("Chapter 3", 165, 110, 400)
    folio = line("– 101 –", 800, 2230, 860)
    stamp = Line(((1600, 300), (1620, 300), (1620, 1500), (1600, 1500)), "Downloaded", 0.9)
    page = read([*body, header, folio, stamp])
    assert page.header == ("Chapter 3",)
    assert page.footer == ("– 101 –", "Downloaded")
    assert page.text.split() == " ".join(numbered("body", 30)).split()


@pytest.mark.parametrize(
    "first",
    [
        line("A wide first line that fills the row as body text does", 165, 110, 1480),
        line("A Large Title", 165, 110, 600, 60),
        line("short but close", 165, 255, 400),
    ],
    ids=["wide", "large", "close"],
)
def test_a_first_line_that_is_no_header_stays(first: Line) -> None:
    page = read([first, *column(numbered("body", 20), 165, 300, 1480)])
    assert page.header == ()
    assert page.text.startswith(first.text)


def test_a_tilted_page_reads_as_a_level_one() -> None:
    lines = column(numbered("left", 20), 165, 300, 790)
    lines += column(numbered("right", 20), 850, 300, 1480)
    sine, cosine = math.sin(math.radians(1.5)), math.cos(math.radians(1.5))

    def turned(x: float, y: float) -> tuple[float, float]:
        x, y = x - WIDTH / 2, y - HEIGHT / 2
        return x * cosine - y * sine + WIDTH / 2, x * sine + y * cosine + HEIGHT / 2

    tilted = [
        Line(tuple(turned(x, y) for x, y in box.quad), box.text, box.confidence)  # type: ignore[arg-type]
        for box in lines
    ]
    assert read(tilted) == read(lines)


def test_paragraphs_part_at_indents_gaps_and_headings() -> None:
    lines = [
        line("Wound Healing", 165, 300, 600, 48),
        line("First paragraph of the page that fills its", 195, 400, 1480),
        line("second row to the very end of the column.", 165, 440, 1480),
        line("The second begins with an indent and goes", 195, 480, 1480),
        line("on for a row, then ends.", 165, 520, 700),
        line("After a gap comes the third of them and it", 165, 620, 1480),
        line("runs on over the end of the row to here", 165, 660, 1480),
    ]
    assert [text.split()[0] for text in read(lines).paragraphs] == [
        "Wound",
        "First",
        "The",
        "After",
    ]


def test_a_paragraph_runs_on_into_the_next_column() -> None:
    left = [*numbered("left", 9), "and the wound then con-"]
    right = ["tracts as it heals, which is why", *numbered("right", 9)]
    page = read(column(left, 165, 300, 790) + column(right, 850, 300, 1480))
    assert "then contracts as" in page.text
    assert len(page.paragraphs) == 1


@pytest.mark.parametrize(
    ("upper", "lower", "language", "expected"),
    [
        ("the inflam-", "mation of the vessel", "en", "the inflammation of"),
        ("a case of Guillain-", "Barré syndrome", "en", "Guillain-Barré syndrome"),
        ("given as long-", "term treatment", "en", "long-term treatment"),
        ("after a 10-", "year follow-up", "en", "10-year follow-up"),
        ("the drug is un-", "related to this", "en", "is unrelated to"),
        ("une insuffi-", "sance rénale", "fr", "insuffisance rénale"),
        ("le malade a-t-", "il de la fièvre", "fr", "a-t-il de"),
        ("de longs mois d'ex-", "il à la campagne", "fr", "d'exil à"),
        ("lésion peut-", "être bénigne", "fr", "peut-être bénigne"),
        ("воспа-", "ление лёгких", "ru", "воспаление лёгких"),
        ("какой-", "либо признак", "ru", "какой-либо признак"),
        ("la insufi-", "ciencia cardíaca", "es", "insuficiencia cardíaca"),
        ("发生急性", "心肌梗死", "zh", "发生急性心肌梗死"),
        ("使用 ACE", "inhibitor 治疗", "zh", "ACE inhibitor 治疗"),
        ("心不全とは、", "心臓の", "ja", "心不全とは、心臓の"),
    ],
)
def test_rows_are_joined(upper: str, lower: str, language: str, expected: str) -> None:
    page = read(column([upper, lower], 165, 300, 790), language)
    assert expected in page.text


def test_the_page_itself_tells_which_hyphens_are_true() -> None:
    rows = ["the anti-TNF and beta-blocker drugs are", "given, but a beta-", "blocker is not here"]
    assert "but a beta-blocker is" in read(column(rows, 165, 300, 790)).text
    rows = ["the cotrimoxazole dose is the same", "unless co-", "trimoxazole fails in them"]
    assert "unless cotrimoxazole fails" in read(column(rows, 165, 300, 790)).text


def test_lost_blanks_come_back_except_in_addresses_and_abbreviations() -> None:
    text = "fever,cough;rash are common.The dose, e.g. 2,5 mg at https://a.org/b,c or U.S.A"
    page = read([line(text, 165, 300, 1480)])
    assert page.text == (
        "fever, cough; rash are common. The dose, e.g. 2,5 mg at https://a.org/b,c or U.S.A"
    )


def test_blanks_between_wide_characters_go() -> None:
    assert read([line("急 性 心肌 CK 升高", 165, 300, 800)], "zh").text == "急性心肌 CK 升高"


def test_no_lines_give_an_empty_page() -> None:
    assert read([]) == PageText((), (), ())
    assert read([line("  ", 1, 1, 2)]).text == ""


def test_an_unknown_language_is_an_error() -> None:
    with pytest.raises(KeyError, match="no language 'xx'"):
        read([], "xx")


boxes = st.builds(
    lambda text, left, top, width, height: line(text, left, top, left + width, height),
    st.text(
        st.characters(categories=["L", "N", "P"], max_codepoint=0x3000), min_size=1, max_size=12
    ),
    st.integers(0, WIDTH - 1),
    st.integers(0, HEIGHT - 1),
    st.integers(1, WIDTH),
    st.integers(4, 90),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(boxes, max_size=40), st.sampled_from(["en", "ja"]), st.randoms(use_true_random=False)
)
def test_no_character_is_lost_and_the_order_of_lines_does_not_matter(
    lines: list[Line], language: str, shuffler: random.Random
) -> None:
    page = read(lines, language)
    found = [*page.paragraphs, *page.header, *page.footer]
    assert printed(found) == printed([box.text for box in lines])
    shuffled = list(lines)
    shuffler.shuffle(shuffled)
    again = read(shuffled, language)
    assert printed(again.paragraphs) == printed(page.paragraphs)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.text("abcde fgh", min_size=1, max_size=40).filter(str.strip), min_size=4, max_size=45
    ),
    st.integers(20, 500),
    st.integers(600, 1400),
    st.data(),
)
def test_a_single_column_keeps_every_row_in_order(
    texts: list[str], top: int, width: int, data: st.DataObject
) -> None:
    """Evenly set rows of any lengths, from near the page's top: none may pass for a header."""
    rows = [f"{index:03d} {text}" for index, text in enumerate(texts)]
    lines = [
        line(text, 150, top + PITCH * index, 150 + width * data.draw(st.floats(0.1, 1.0)))
        for index, text in enumerate(rows)
    ]
    page = read(data.draw(st.permutations(lines)))
    assert page.header == page.footer == ()
    assert [word for word in page.text.split() if word.isdigit()] == [row[:3] for row in rows]
