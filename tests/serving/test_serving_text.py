from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.text import Detokenizer, StopScanner, TextOffsets, TokenNames, decode

if TYPE_CHECKING:
    from conftest import Small

TOKENS = st.lists(st.integers(0, 399), max_size=40)


@settings(deadline=None, max_examples=100)
@given(tokens=TOKENS)
def test_parts_join_to_the_text_of_all_tokens(small: Small, tokens: list[int]) -> None:
    detokenizer = Detokenizer(small.tokenizer)
    parts = [detokenizer.add(token) for token in tokens]
    assert "".join(parts) + detokenizer.finish() == decode(small.tokenizer, tokens)


def test_a_character_of_several_tokens_comes_out_whole(small: Small) -> None:
    tokens = small.tokenizer.encode("熱🩺é")
    detokenizer = Detokenizer(small.tokenizer)
    parts = [part for token in tokens if (part := detokenizer.add(token))]
    assert len(tokens) > 3
    assert parts == ["熱", "🩺", "é"]


@settings(max_examples=300)
@given(
    chunks=st.lists(st.text("abc", max_size=4), max_size=12),
    stops=st.lists(st.text("abc", min_size=1, max_size=4), max_size=3),
)
def test_text_is_cut_before_the_first_stop_however_it_is_chunked(
    chunks: list[str], stops: list[str]
) -> None:
    scanner = StopScanner(stops)
    got = ""
    read = ""
    for chunk in chunks:
        read += chunk
        got += scanner.add(chunk)
        if scanner.stopped:
            break
    else:
        got += scanner.finish()
    places = [place for stop in stops if (place := read.find(stop)) >= 0]
    assert scanner.stopped == bool(places)
    assert got == (read[: min(places)] if places else read)


def test_token_names_are_distinct(small: Small) -> None:
    names = TokenNames(small.tokenizer)
    every = [names[token] for token in range(len(small.tokenizer))]
    assert len(set(every)) == len(every)
    lead_byte = small.tokenizer.convert_tokens_to_ids("ç")  # byte 0xE7, begins a CJK character
    assert names[lead_byte] == f"token_id:{lead_byte}"
    assert names[10**6] == f"token_id:{10**6}"


@settings(deadline=None, max_examples=100)
@given(text=st.text("aé患🩺 .", max_size=20))
def test_offsets_point_at_the_text_of_each_token(small: Small, text: str) -> None:
    tokens = small.tokenizer.encode(text)
    places = TextOffsets(small.tokenizer)
    offsets = [places.add(token) for token in tokens]
    names = TokenNames(small.tokenizer)
    assert offsets == sorted(offsets)
    for token, offset in zip(tokens, offsets, strict=True):
        if not names[token].startswith("token_id:"):
            assert text[offset:].startswith(names[token])
