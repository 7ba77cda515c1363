"""medray's own keyword lists: 200 distinct medical words or stems per language."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from medray.corpus.matching import fold
from medray.errors import InputError


@dataclass(frozen=True)
class KeywordList:
    """Distinct keywords of one language, folded as texts are, in the file's order."""

    language: str
    words: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when any keyword does."""
        text = f"{self.language}\n" + "\n".join(self.words)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_keywords(language: str, path: Path | None = None) -> KeywordList:
    """Read the list of a language: medray's own, or a file of one keyword a line.

    Lines that begin with ``#`` are comments. Raises InputError for an empty or repeating list.
    """
    source = path or files("medray.corpus") / "keywords" / f"{language}.txt"
    lines = source.read_text(encoding="utf-8").splitlines()
    words = [fold(line.strip()) for line in lines if line.strip() and line[0] != "#"]
    if not words:
        raise InputError(f"{source}: holds no keyword")
    repeated = sorted({word for word in words if words.count(word) > 1})
    if repeated:
        raise InputError(f"{source}: keyword given twice: {', '.join(repeated)}")
    return KeywordList(language, tuple(words))
