"""Scores in the two shapes that OpenAI gives log-probabilities in."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from serving.engine import Alternatives, Score
from serving.protocol import ChatLogprobs, ChatTokenLogprob, CompletionLogprobs, TokenLogprob
from serving.text import TokenNames, text_offsets


def completion_logprobs(
    tokenizer: PreTrainedTokenizerBase,
    names: TokenNames,
    tokens: Sequence[int],
    score: Score,
    *,
    skipped: int,
    top: int,
) -> CompletionLogprobs:
    """Return the lists of /v1/completions for ``tokens[skipped:]``.

    The first token of a sequence has null in ``token_logprobs`` and ``top_logprobs``. Each dict
    holds the ``top`` best tokens and the token itself, as OpenAI's does.
    """
    shown = tokens[skipped:]
    logprobs = score.logprobs[skipped:]
    return CompletionLogprobs(
        text_offset=text_offsets(tokenizer, shown),
        token_logprobs=logprobs,
        tokens=[names[token] for token in shown],
        top_logprobs=[
            _top(names, token, logprob, alternatives, top)
            for token, logprob, alternatives in zip(
                shown, logprobs, score.alternatives[skipped:], strict=True
            )
        ],
    )


def _top(
    names: TokenNames,
    token: int,
    logprob: float | None,
    alternatives: Alternatives | None,
    top: int,
) -> dict[str, float] | None:
    if logprob is None or alternatives is None:
        return None
    return {names[other]: value for other, value in alternatives[:top]} | {names[token]: logprob}


def chat_logprobs(
    names: TokenNames, prompt: Sequence[int], generated: Sequence[int], score: Score, *, top: int
) -> ChatLogprobs:
    """Return the content list of /v1/chat/completions for the generated tokens."""
    content = []
    for place, token in enumerate(generated, start=len(prompt)):
        logprob, alternatives = score.logprobs[place], score.alternatives[place]
        assert logprob is not None and alternatives is not None  # a prompt stands before
        own = _named(names, token, logprob)
        others = [_named(names, other, value) for other, value in alternatives[:top]]
        content.append(ChatTokenLogprob(**own.model_dump(), top_logprobs=others))
    return ChatLogprobs(content=content)


def _named(names: TokenNames, token: int, logprob: float) -> TokenLogprob:
    name = names[token]
    whole = not name.startswith("token_id:")
    return TokenLogprob(token=name, bytes=list(name.encode()) if whole else None, logprob=logprob)
