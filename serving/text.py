"""Tokens to text: piece by piece while they come, cut at stop strings, and named one by one."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

UNFINISHED = "\ufffd"  # what a decoder writes for bytes that do not make a character (yet)


def decode(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[int]) -> str:
    """Return the text of ``tokens`` without special tokens and without tidied blanks."""
    text: str = tokenizer.decode(
        list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return text


class Detokenizer:
    """Give out text as soon as it is certain; the parts join to the text of all tokens.

    A token may end inside a character, and a decoder may treat a first token unlike the others.
    So a window of earlier tokens is decoded along, and a part is held back while it ends in an
    unfinished character (the method of text-generation-inference and vLLM).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._window = 0  # first token of the window
        self._given = 0  # tokens whose text was given out

    def add(self, token: int) -> str:
        """Return the text that became certain by ``token``; often one piece, sometimes nothing."""
        self._tokens.append(token)
        text = self._rest()
        if not text or text.endswith(UNFINISHED):
            return ""
        self._window, self._given = self._given, len(self._tokens)
        return text

    def finish(self) -> str:
        """Return what was held back; an unfinished character shows as U+FFFD."""
        text = self._rest()
        self._window = self._given = len(self._tokens)
        return text

    def _rest(self) -> str:
        before = decode(self._tokenizer, self._tokens[self._window : self._given])
        return decode(self._tokenizer, self._tokens[self._window :])[len(before) :]


class StopScanner:
    """Cut a stream of text before the first stop string; hold back what may become one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.stopped = False

    def add(self, text: str) -> str:
        """Return the text that is certainly before any stop string; then look at ``stopped``."""
        self._held += text
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            certain, self._held = self._held[: min(found)], ""
            return certain
        kept = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        cut = len(self._held) - kept
        certain, self._held = self._held[:cut], self._held[cut:]
        return certain

    def finish(self) -> str:
        """Return what was held back, at the end of a stream that met no stop string."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that begins ``stop``, shorter than ``stop``."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)


class TokenNames:
    """Names of single tokens, distinct where their ids are, as log-probabilities need them.

    A token that is no whole text by itself (part of a character, or outside the tokenizer's
    vocabulary) is named ``token_id:N``, vLLM's form: as U+FFFD, hundreds of tokens would share one
    name, and a client that compares names (lm-eval's ``is_greedy``) would take them for equal.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        # sentencepiece drops the blank of a first token; behind an anchor it is kept.
        self._anchor: list[int] = tokenizer.encode("a", add_special_tokens=False)
        self._names: dict[int, str] = {}

    def __getitem__(self, token: int) -> str:
        if token not in self._names:
            text = self._decode([*self._anchor, token])[len(self._decode(self._anchor)) :]
            whole = text and UNFINISHED not in text
            self._names[token] = text if whole else f"token_id:{token}"
        return self._names[token]

    def _decode(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, clean_up_tokenization_spaces=False)
        return text


class TextOffsets:
    """Say where each token's text begins in the text of all, in characters, token by token.

    A token inside a character begins where the character does; special tokens take no room.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._detokenizer = Detokenizer(tokenizer)
        self._length = 0

    def add(self, token: int) -> int:
        """Return the place of the next token."""
        place = self._length
        self._length += len(self._detokenizer.add(token))
        return place
