"""Cutting token sequences into overlapping windows."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, model_validator

from medray.recipe import Config


class WindowConfig(Config):
    """Size of windows. 2048 with 512 overlap is what MMedLM trained with."""

    window_tokens: int = Field(default=2048, ge=8, description="tokens of a full window")
    overlap_tokens: int = Field(default=512, ge=0, description="tokens that neighbours share")

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> WindowConfig:
        if self.overlap_tokens >= self.window_tokens:
            raise ValueError("overlap_tokens must be smaller than window_tokens")
        return self


def cut(tokens: Sequence[int], config: WindowConfig) -> list[list[int]]:
    """Cut one document's tokens into windows that together hold every token.

    Windows start every ``window_tokens - overlap_tokens`` tokens. The last one ends with the
    document's last token and is full too where the document is long enough, so its overlap is
    larger. A document shorter than a window is one short window; nothing is padded here (MMedLM
    padded such documents and trained on the padding).
    """
    size, stride = config.window_tokens, config.window_tokens - config.overlap_tokens
    if len(tokens) <= size:
        return [list(tokens)] if tokens else []
    starts = [*range(0, len(tokens) - size, stride), len(tokens) - size]
    return [list(tokens[start : start + size]) for start in starts]
