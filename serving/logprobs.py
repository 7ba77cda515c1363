"""Tokens with their log-probabilities, in the two shapes that OpenAI gives them in."""

from __future__ import annotations

from collections.abc import Sequence

from serving.engine import NewToken, Score
from serving.protocol import ChatLogprobs, ChatTokenLogprob, CompletionLogprobs, TokenLogprob
from serving.text import TextOffsets, TokenNames


def scored_tokens(tokens: Sequence[int], score: Score) -> list[NewToken]:
    """Return the tokens from ``score.first`` on as the engine gives new ones.

    The first token of a sequence has no log-probability: nothing comes before it.
    """
    return [
        NewToken(*known)
        for known in zip(tokens[score.first :], score.logprobs, score.alternatives, strict=True)
    ]


def completion_logprobs(
    names: TokenNames, offsets: TextOffsets, tokens: Sequence[NewToken], top: int
) -> CompletionLogprobs:
    """Return the lists of /v1/completions for the next tokens of one choice.

    The first token of a sequence has null in ``token_logprobs`` and ``top_logprobs``. Each dict
    holds the ``top`` best tokens and the token itself, as OpenAI's does.
    """
    return CompletionLogprobs(
        text_offset=[offsets.add(new.token) for new in tokens],
        token_logprobs=[new.logprob for new in tokens],
        tokens=[names[new.token] for new in tokens],
        top_logprobs=[_top(names, new, top) for new in tokens],
    )


def _top(names: TokenNames, new: NewToken, top: int) -> dict[str, float] | None:
    if new.logprob is None:
        return None
    best = (new.alternatives or [])[:top]
    return {names[other]: value for other, value in best} | {names[new.token]: new.logprob}


def chat_logprobs(names: TokenNames, tokens: Sequence[NewToken], top: int) -> ChatLogprobs:
    """Return the content list of /v1/chat/completions for generated tokens."""
    content = []
    for new in tokens:
        assert new.logprob is not None  # asked for by the job's ``top``
        own = _named(names, new.token, new.logprob)
        others = [_named(names, *other) for other in (new.alternatives or [])[:top]]
        content.append(ChatTokenLogprob(**own.model_dump(), top_logprobs=others))
    return ChatLogprobs(content=content)


def _named(names: TokenNames, token: int, logprob: float) -> TokenLogprob:
    name = names[token]
    whole = not name.startswith("token_id:")
    return TokenLogprob(token=name, bytes=list(name.encode()) if whole else None, logprob=logprob)
