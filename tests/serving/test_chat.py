from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from transformers import AutoTokenizer

from serving.chat import chat_prompt
from serving.protocol import ChatMessage, RequestError

if TYPE_CHECKING:
    from conftest import Small

MESSAGES = [
    ChatMessage(role="system", content="Be brief."),
    ChatMessage(role="user", content="What is fever?"),
]


def test_a_tokenizer_without_a_template_gets_the_plain_one(small: Small) -> None:
    text = small.tokenizer.decode(chat_prompt(small.tokenizer, MESSAGES))
    assert text == "System: Be brief.\nUser: What is fever?\nAssistant:"


def test_the_tokenizers_own_template_is_used_and_its_refusal_is_the_clients(small: Small) -> None:
    tokenizer = AutoTokenizer.from_pretrained(small.folder)
    tokenizer.chat_template = (
        "{% for message in messages %}"
        "{% if message.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "[{{ message.content }}]{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    )
    assert tokenizer.decode(chat_prompt(tokenizer, MESSAGES[1:])) == "[What is fever?]>"
    with pytest.raises(RequestError, match="no system role"):
        chat_prompt(tokenizer, MESSAGES)
