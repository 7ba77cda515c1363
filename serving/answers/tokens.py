"""Answers of /tokenize, /detokenize and /tokenizer_info."""

from __future__ import annotations

from serving.chat import chat_prompt, template_of
from serving.protocol import (
    Detokenized,
    DetokenizeRequest,
    Tokenized,
    TokenizeRequest,
    TokenizerInfo,
)
from serving.service import Service


def tokenize(service: Service, request: TokenizeRequest) -> Tokenized:
    """Return the tokens of a text or of messages."""
    service.adapter_of(request.model)
    tokens: list[int]
    if request.messages is not None:
        tokens = chat_prompt(
            service.tokenizer,
            request.messages,
            add_generation_prompt=request.add_generation_prompt,
        )
    else:
        tokens = service.tokenizer.encode(
            request.prompt, add_special_tokens=request.add_special_tokens
        )
    return Tokenized(
        count=len(tokens),
        max_model_len=service.engine.context_tokens,
        tokens=tokens,
        token_strs=[service.names[token] for token in tokens]
        if request.return_token_strs
        else None,
    )


def detokenize(service: Service, request: DetokenizeRequest) -> Detokenized:
    """Return the text of tokens, special tokens spelled out."""
    service.adapter_of(request.model)
    service.check_token_ids(request.tokens, "tokens")
    text: str = service.tokenizer.decode(request.tokens, clean_up_tokenization_spaces=False)
    return Detokenized(prompt=text)


def tokenizer_info(service: Service) -> TokenizerInfo:
    """Return what a client needs to build prompts itself."""
    tokenizer = service.tokenizer
    return TokenizerInfo(
        tokenizer_class=type(tokenizer).__name__,
        vocab_size=service.engine.vocabulary_size,
        model_max_length=service.engine.context_tokens,
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
        pad_token=tokenizer.pad_token,
        unk_token=tokenizer.unk_token,
        chat_template=template_of(tokenizer),
    )
