"""How a recipe sets the medical filter: what matches, how density is taken, the thresholds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from medray.corpus.medical.keywords import KeywordList, load_keywords
from medray.corpus.medical.matching.ladder import Engine
from medray.corpus.medical.matching.patterns import Match
from medray.languages import LANGUAGES
from medray.recipe import Config, Incidental, InputFiles
from medray.storage.location import Location

Density = Literal["coverage", "sum"]

# The version of what matches and densities mean (matching, MedicalFilter.rethreshold). Raise it
# when the same keywords and thresholds could decide otherwise. ``depends_on`` brings it into the
# fingerprint. 1: case by str.lower, marks apart from words. 2: simple case folding, marks belong
# to words, NFC, NFD and full-width spellings, mmedlm.
SEMANTICS_VERSION = 2


class Threshold(Config):
    """Least number of distinct keywords (MKC) and least density (DENS) of a medical document."""

    keyword_count: int = Field(ge=1, description="least number of distinct keywords")
    density: float = Field(ge=0, le=1, description="least share of characters in keywords")


# The thresholds that MMedLM published for CulturaX (data_collection/filtering/filter.py), set for
# its own lists, match "mmedlm" and density "sum".
PUBLISHED_THRESHOLDS = {
    "en": Threshold(keyword_count=5, density=0.04),
    "zh": Threshold(keyword_count=5, density=0.05),
    "ja": Threshold(keyword_count=5, density=0.05),
    "fr": Threshold(keyword_count=4, density=0.04),
    "ru": Threshold(keyword_count=4, density=0.02),
    "es": Threshold(keyword_count=4, density=0.04),
}
PUBLISHED_PAIR: tuple[Match, Density] = ("mmedlm", "sum")

# medray's own lists were chosen together with these; tests/benchmarks/reach_of_filter.py measures
# them.
DEFAULT_MATCH: dict[str, Match] = {
    "en": "prefix",
    "zh": "substring",
    "ja": "substring",
    "fr": "prefix",
    "ru": "prefix",
    "es": "prefix",
}
DEFAULT_DENSITY: dict[str, Density] = dict.fromkeys(DEFAULT_MATCH, "coverage")
DEFAULT_THRESHOLDS = {
    "en": Threshold(keyword_count=3, density=0.025),
    "zh": Threshold(keyword_count=3, density=0.025),
    "ja": Threshold(keyword_count=3, density=0.03),
    "fr": Threshold(keyword_count=4, density=0.02),
    "ru": Threshold(keyword_count=2, density=0.0275),
    "es": Threshold(keyword_count=4, density=0.02),
}

_ListFile = Annotated[str | None, InputFiles()]
_LIST_FILE = Field(default=None, description="file of one keyword a line, instead of medray's list")


class KeywordFiles(Config):
    """Keyword lists of one's own, by language: ``word|variant|variant`` lines, ``#`` comments."""

    en: _ListFile = _LIST_FILE
    zh: _ListFile = _LIST_FILE
    ja: _ListFile = _LIST_FILE
    fr: _ListFile = _LIST_FILE
    ru: _ListFile = _LIST_FILE
    es: _ListFile = _LIST_FILE


class MedicalFilterConfig(Config):
    """How documents are judged; a recipe names only the languages that it changes.

    ``match`` and ``density`` may be one word for all languages. Thresholds belong to one pair of
    match and density: who changes either for a language gives that language's thresholds too.
    ``thresholds: mmedlm`` stands for those that were published for mmedlm and sum.
    """

    match: dict[str, Match] = Field(
        default=DEFAULT_MATCH,
        description="by language: boundary (whole word), prefix (word's start), substring, "
        "or mmedlm (the published script's rule)",
    )
    density: dict[str, Density] = Field(
        default=DEFAULT_DENSITY,
        description="by language: coverage (a character under two keywords counts once) "
        "or sum (twice)",
    )
    thresholds: dict[str, Threshold] = Field(
        default=DEFAULT_THRESHOLDS, description="least count and density, by language, or mmedlm"
    )
    keyword_files: KeywordFiles = Field(
        default=KeywordFiles(), description="files of one's own keywords, by language"
    )
    engine: Annotated[Engine | None, Incidental()] = Field(
        default=None, description="what searches; all decide alike; none: the fastest installed"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """Let a recipe name only the languages that it changes."""
        if not isinstance(given, dict):
            return given
        match = _by_language("match", given.get("match", {}), DEFAULT_MATCH)
        density = _by_language("density", given.get("density", {}), DEFAULT_DENSITY)
        thresholds = given.get("thresholds", {})
        if thresholds == PUBLISHED_PAIR[0]:
            other = [code for code in LANGUAGES if (match[code], density[code]) != PUBLISHED_PAIR]
            if other:
                raise ValueError(
                    "thresholds: those of mmedlm belong to match: mmedlm and density: sum, "
                    f"which are not set for {', '.join(other)}"
                )
            thresholds = PUBLISHED_THRESHOLDS
        filled = _by_language("thresholds", thresholds, DEFAULT_THRESHOLDS)
        for code in DEFAULT_THRESHOLDS:
            changed = (match[code], density[code]) != (DEFAULT_MATCH[code], DEFAULT_DENSITY[code])
            if changed and code not in thresholds:
                raise ValueError(
                    f"thresholds.{code}: thresholds belong to one match and density; give those "
                    f"of match: {match[code]} and density: {density[code]}"
                )
        return given | {"match": match, "density": density, "thresholds": filled}

    def load_list(
        self, language: str, locate: Callable[[str, str], Location] | None = None
    ) -> KeywordList:
        """Return a language's list: the recipe's own file's, or medray's.

        ``locate`` turns what the recipe says, and its key, into a place. Raises InputError for a
        file that is no list.
        """
        path = getattr(self.keyword_files, language)
        file = None
        if path is not None:
            key = f"filter.keyword_files.{language}"
            file = locate(path, key) if locate is not None else Location.of(path)
        return load_keywords(language, file, case_counts=self.match[language] == "mmedlm")

    def depends_on(self, languages: Iterable[str]) -> dict[str, str]:
        """Return what decisions are made from and the recipe does not say: for the fingerprint.

        The semantics' version and the fingerprints of medray's own lists; a recipe's own files
        are inputs, which go into the fingerprint by themselves.
        """
        own = [code for code in languages if getattr(self.keyword_files, code) is None]
        lists = {f"keywords/{code}": load_keywords(code).fingerprint for code in own}
        return {"filter/semantics": str(SEMANTICS_VERSION)} | lists


def _by_language(key: str, given: Any, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every language: one word for all, or the default where not given."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(defaults, given)
    unknown = [str(code) for code in given if code not in defaults]
    if unknown:
        raise ValueError(
            f"{key}: no language {', '.join(unknown)}; there are {', '.join(defaults)}"
        )
    return {**defaults, **given}
