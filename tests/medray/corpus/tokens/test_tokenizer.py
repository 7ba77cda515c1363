from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.corpus.tokens.tokenizer import BEGIN, END, PADDING, load_tokenizer, train_tokenizer
from medray.errors import InputError
from medray.languages import LANGUAGES


@pytest.fixture(scope="module")
def texts(samples: Path) -> dict[str, str]:
    """The first documents of each language."""
    found = {}
    for code in LANGUAGES:
        lines = (samples / "sources" / code / "documents.jsonl").read_text(encoding="utf-8")
        found[code] = "\n".join(json.loads(line)["text"] for line in lines.splitlines()[:6])
    return found


@pytest.fixture(scope="module")
def tokenizer(texts: dict[str, str]) -> Any:
    return train_tokenizer(iter(texts.values()), 800)


def encode(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def test_the_vocabulary_has_the_wanted_size(tokenizer: Any) -> None:
    assert len(tokenizer) == 800


def test_there_are_three_special_tokens(tokenizer: Any) -> None:
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (BEGIN, END, PADDING)
    ids = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    assert len(ids) == 3


@pytest.mark.parametrize("code", LANGUAGES)
def test_texts_come_back_and_take_fewer_tokens_than_bytes(
    tokenizer: Any, texts: dict[str, str], code: str
) -> None:
    ids = encode(tokenizer, texts[code])
    assert tokenizer.decode(ids) == texts[code]
    assert len(ids) < 0.8 * len(texts[code].encode())


@settings(max_examples=150)
@given(text=st.text(max_size=80))
def test_every_text_comes_back(tokenizer: Any, text: str) -> None:
    assert tokenizer.decode(encode(tokenizer, text)) == text


def test_digits_are_read_one_by_one(tokenizer: Any) -> None:
    assert tokenizer.convert_ids_to_tokens(encode(tokenizer, "2500")) == ["2", "5", "0", "0"]


def test_a_word_takes_its_accents_along(tokenizer: Any) -> None:
    pieces = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("un cafe\u0301 noir.\n")
    assert [border for _, border in pieces] == [(0, 2), (2, 8), (8, 13), (13, 15)]


def test_equal_texts_give_an_equal_tokenizer(tokenizer: Any, texts: dict[str, str]) -> None:
    again = train_tokenizer(iter(texts.values()), 800)
    assert again.get_vocab() == tokenizer.get_vocab()


def test_a_saved_tokenizer_is_loaded_the_same(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    text = "Дозa 250 mg, 発熱。  two  blanks , here"
    assert encode(loaded, text) == encode(tokenizer, text)
    assert loaded.decode(encode(loaded, text)) == text
    assert loaded.pad_token_id == tokenizer.pad_token_id


def test_a_folder_without_a_tokenizer_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: no such folder"):
        load_tokenizer(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: holds no tokenizer") as raised:
        load_tokenizer(tmp_path / "empty")
    assert "\n" not in str(raised.value)
