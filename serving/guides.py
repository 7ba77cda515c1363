"""Guides that generated text must follow, as masks over the vocabulary (llguidance)."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy
import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from transformers import PreTrainedTokenizerBase

from serving.engine import Guide

# Compiled guides that are kept, for clients that ask with the same schema again and again.
KEPT = 64

# JSON as most of a model's training text has it, and no room for endless white space.
JSON_FORM: Any = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
}


class GuideState:
    """Where one sequence stands in its guide."""

    def __init__(self, matcher: LLMatcher, vocabulary_size: int, end_tokens: Sequence[int]) -> None:
        self._matcher = matcher
        self._end_tokens = list(end_tokens)
        self._bits = numpy.zeros((vocabulary_size + 31) // 32, numpy.int32)
        self._size = vocabulary_size
        self.taken = 0
        self.ended = False  # nothing may follow but an end token, or one has come

    def allowed(self) -> torch.Tensor:
        """Return which tokens may come next: bool [vocabulary size].

        End tokens are among them only where the guide is satisfied. ``RuntimeError`` where the
        guide has become too large to follow.
        """
        if self.ended:
            only_ends = torch.full((self._size,), not self._end_tokens)
            only_ends[self._end_tokens] = True
            return only_ends
        self._matcher.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        self._check()
        bits = numpy.unpackbits(self._bits.view(numpy.uint8), bitorder="little")
        return torch.from_numpy(bits[: self._size].view(numpy.bool_))

    def take(self, token: int) -> None:
        """Go on by one token, which must have been allowed; nothing, where the guide has ended."""
        if self.ended:
            return
        self._matcher.consume_token(token)
        self._check()
        self.taken += 1
        self.ended = self._matcher.is_stopped()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise RuntimeError(f"the guide cannot be followed: {_reason(self._matcher)}")


class GuideCompiler:
    """Compiles guides for one tokenizer, byte-level or sentencepiece-like."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase | None,
        vocabulary_size: int,
        end_tokens: Iterable[int],
    ) -> None:
        self._tokenizer = tokenizer
        self._vocabulary_size = vocabulary_size
        self._end_tokens = sorted(end_tokens)
        self._prepared: LLTokenizer | None = None
        self._compiled: OrderedDict[Guide, LLMatcher] = OrderedDict()
        self._lock = threading.Lock()

    def compile(self, guide: Guide) -> GuideState:
        """Return the beginning of a guide; takes up to a second, not to be called in an event loop.

        ``ValueError`` for a guide that cannot be compiled, and for a tokenizer that cannot be
        followed.
        """
        with self._lock:
            if guide not in self._compiled:
                self._compiled[guide] = self._compile(guide)
                if len(self._compiled) > KEPT:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(guide)
            matcher = self._compiled[guide].deep_copy()
            return GuideState(matcher, self._vocabulary_size, self._end_tokens)

    def _compile(self, guide: Guide) -> LLMatcher:
        if self._prepared is None:
            if self._tokenizer is None or not self._tokenizer.is_fast:
                raise ValueError("guides need a fast tokenizer")
            self._prepared = from_tokenizer(
                self._tokenizer, self._vocabulary_size, self._end_tokens or None
            )
        matcher = LLMatcher(self._prepared, grammar_of(guide), log_level=0)
        if matcher.is_error():
            raise ValueError(f"the {guide.kind} cannot be compiled: {_reason(matcher)}")
        return matcher


def grammar_of(guide: Guide) -> str:
    """Return llguidance's form of a guide; ``ValueError`` where it cannot have one."""
    if guide.kind == "choice":
        if not guide.value or not all(guide.value):
            raise ValueError("a choice needs texts, none of them empty")
        texts = " | ".join(json.dumps(text, ensure_ascii=False) for text in guide.value)
        return str(LLMatcher.grammar_from_lark(f"start: {texts}"))
    assert isinstance(guide.value, str)
    if guide.kind == "regex":
        return str(LLMatcher.grammar_from_regex(guide.value))
    try:
        schema = json.loads(guide.value)
    except json.JSONDecodeError as error:
        raise ValueError(f"the JSON schema is no JSON: {error}") from error
    return str(LLMatcher.grammar_from_json_schema(schema, overrides=JSON_FORM))


def _reason(matcher: LLMatcher) -> str:
    """Return the first line of the error: the others show the text so far."""
    return str(matcher.get_error()).partition("\n")[0]
