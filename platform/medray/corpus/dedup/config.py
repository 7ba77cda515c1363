"""What the recipe says of removing duplicates."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from medray.corpus.dedup.minhash import choose_bands
from medray.languages import LANGUAGES
from medray.recipe import Config


class SourceAlarm(Config):
    """When one source loses so much that the rule, more likely than the source, is wrong."""

    share: float = Field(
        default=0.5, gt=0, le=1, description="share of a source's documents lost that is too much"
    )
    minimum_documents: int = Field(
        default=100, ge=1, description="a source with fewer documents raises no alarm"
    )
    action: Literal["warn", "stop"] = Field(
        default="warn", description="warn: tell it in log and results; stop: end the run"
    )


class DeduplicateConfig(Config):
    """Which documents are copies of others, and what is done where too many are."""

    exact: bool = Field(default=True, description="remove texts equal to an earlier one")
    near: bool = Field(default=True, description="remove texts nearly equal to a retained one")
    jaccard: float = Field(
        default=0.7, gt=0, le=1, description="similarity of shingle sets from which on one goes"
    )
    shingle_words: int = Field(default=5, ge=1, description="words of a shingle")
    # Measured on 3,000 zh and ja documents each: from 5 to 6 characters the unrelated pairs that
    # share a tenth of their shingles fall by a third, while J after 2 % of characters changed is
    # still 0.80 (0.83 for five words of en).
    shingle_characters: int = Field(default=6, ge=1, description="characters of one in zh and ja")
    maximum_characters: int = Field(
        default=500_000,
        ge=1,
        description="only so much of a text seeks candidates; verifying reads all of it",
    )
    permutations: int = Field(default=128, ge=1, description="slots of a signature")
    recall: float = Field(
        default=0.99,
        gt=0,
        lt=1,
        description="share to find of the pairs as similar as recall_jaccard",
    )
    recall_jaccard: float = Field(
        default=0.8, gt=0, le=1, description="similarity at which recall is asked for"
    )
    representatives: int = Field(
        default=16,
        ge=1,
        description="of all texts that share a band, each is compared with so many of the first",
    )
    alarm: SourceAlarm = Field(default=SourceAlarm())

    @model_validator(mode="after")
    def _recall_is_within_reach(self) -> DeduplicateConfig:
        choose_bands(self.permutations, self.recall_jaccard, self.recall)
        return self

    def bands(self) -> tuple[int, int]:
        """Return (bands, rows of a band): 21 bands of 6 by default."""
        return choose_bands(self.permutations, self.recall_jaccard, self.recall)

    def shingle_size(self, language: str) -> int:
        """Return how many words, in zh and ja mostly characters, make a shingle."""
        return self.shingle_words if LANGUAGES[language].spaced else self.shingle_characters
