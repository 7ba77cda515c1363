"""Messages to prompt tokens, by the tokenizer's own chat template or by a plain one."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
from transformers import PreTrainedTokenizerBase

from serving.protocol import ChatMessage, RequestError

# For models whose tokenizer brings no template: one labelled line per message, then the answer's
# label. It is a choice of this endpoint, not the format that any model was trained on.
PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message.role | capitalize }}: {{ message.content }}\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)


def template_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the template in use: the tokenizer's own, else the plain one."""
    own = tokenizer.chat_template
    return PLAIN_TEMPLATE if own is None else tokenizer.get_chat_template()


def chat_prompt(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[ChatMessage],
    *,
    add_generation_prompt: bool = True,
) -> list[int]:
    """Return the prompt's tokens, ending where the assistant's answer begins.

    Raises ``RequestError`` (400) where the template refuses the messages, as many do when user and
    assistant do not alternate.
    """
    turns = [{"role": message.role, "content": message.text} for message in messages]
    has_own = tokenizer.chat_template is not None
    try:
        text = tokenizer.apply_chat_template(
            turns,
            chat_template=template_of(tokenizer),
            add_generation_prompt=add_generation_prompt,
            tokenize=False,
        )
    except jinja2.TemplateError as error:
        raise RequestError(
            f"the chat template refuses these messages: {error}", "messages"
        ) from error
    # A template writes its special tokens itself; the plain one leaves them to the tokenizer.
    tokens: list[int] = tokenizer.encode(text, add_special_tokens=not has_own)
    return tokens
