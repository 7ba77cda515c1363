"""Keyword lists: medray's own, 200 distinct medical words or stems a language, or a recipe's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from medray.corpus.medical.matching.characters import fold, spellings
from medray.errors import InputError
from medray.storage.location import Location

# Decisions name the keywords of a document by numbers of 16 bits.
MOST_KEYWORDS = 1 << 16


@dataclass(frozen=True)
class KeywordList:
    """Distinct keywords of one language, as written, in the file's order.

    ``variants``: each keyword's spelled variants, itself first.
    """

    language: str
    variants: tuple[tuple[str, ...], ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Each keyword by its first variant."""
        return tuple(word for word, *_ in self.variants)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any keyword, variant, or their order."""
        lines = [self.language, *("|".join(variants) for variants in self.variants)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def load_keywords(
    language: str, file: Location | None = None, case_counts: bool = False
) -> KeywordList:
    """Read the list of a language: medray's own, or a file of one keyword a line.

    ``word|variant|variant`` are spelled variants of one keyword; lines that begin with ``#`` are
    comments. ``case_counts``: two words that differ in case alone are two keywords, as the
    published script takes them. Raises InputError for a file that cannot be read, a list that is
    empty or too long, and a keyword given twice.
    """
    source = file or files("medray.corpus.medical") / "keywords" / f"{language}.txt"
    try:
        # "utf-8-sig": an editor may have put a byte order mark before the first keyword.
        lines = [line.strip() for line in source.read_bytes().decode("utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: cannot be read as UTF-8 text ({error})") from error
    entries = [line.split("|") for line in lines if line and not line.startswith("#")]
    variants = tuple(tuple(word.strip() for word in entry) for entry in entries)
    if not variants:
        raise InputError(f"{source}: holds no keyword; write one a line")
    for entry in variants:
        if "" in entry:
            raise InputError(f"{source}: {'|'.join(entry)}: a variant is empty; take a | away")
    if len(variants) > MOST_KEYWORDS:
        raise InputError(
            f"{source}: holds {len(variants)} keywords; at most {MOST_KEYWORDS} can be"
        )
    repeated = _repeated(variants, case_counts)
    if repeated:
        raise InputError(f"{source}: keyword given twice: {', '.join(repeated)}")
    return KeywordList(language, variants)


def _repeated(variants: tuple[tuple[str, ...], ...], case_counts: bool) -> list[str]:
    """Return the words that two keywords share, in whatever case and encoding, sorted."""
    owner: dict[str, int] = {}
    shared = set()
    for number, entry in enumerate(variants):
        for word in entry:
            ways = [word] if case_counts else [fold(way) for way in spellings(word)]
            if any(owner.setdefault(way, number) != number for way in ways):
                shared.add(ways[0])
    return sorted(shared)
