from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medray.evaluation.extraction.entities import entities


@pytest.mark.parametrize(
    ("text", "found", "rule"),
    [
        ("aspirin, ibuprofen.", ("aspirin", "ibuprofen"), "commas"),
        ("heparin", ("heparin",), "commas"),
        ("2,4-dinitrophenol, NaCl", ("2,4-dinitrophenol", "NaCl"), "commas"),
        ("阿司匹林、肝素。", ("阿司匹林", "肝素"), "commas"),
        ("aspirin; heparin", ("aspirin", "heparin"), "commas"),
        ("Entities: aspirin, aspirin", ("aspirin",), "commas"),
        ("- aspirin\n- heparin\n", ("aspirin", "heparin"), "lines"),
        ("1. aspirin\n2) heparin", ("aspirin", "heparin"), "lines"),
        ('["aspirin", "heparin"]', ("aspirin", "heparin"), "json"),
        ('{"entities": ["aspirin"]}', ("aspirin",), "json"),
        ("[]", (), "json"),
        ("There is no related enetity.", (), "none"),
        ("There is no related entity", (), "none"),
        ("There are no entities", (), "none"),
        ("None.", (), "none"),
        ("", (), "unparsed"),
        (" \n", (), "unparsed"),
    ],
)
def test_lists_of_all_shapes(text: str, found: tuple[str, ...], rule: str) -> None:
    assert entities(text) == (found, rule)


@given(st.text())
def test_any_text_gives_a_list(text: str) -> None:
    found, _ = entities(text)
    assert len(set(found)) == len(found)
    assert "" not in found


@given(st.lists(st.text("abcdefgh ", min_size=3).map(str.strip).filter(bool), min_size=1))
def test_what_is_joined_is_parted(names: list[str]) -> None:
    once = tuple(dict.fromkeys(names))
    text = ", ".join(names) + "."
    assert entities(text)[0] == once
