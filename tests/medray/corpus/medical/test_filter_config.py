from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from medray.corpus.medical.filter_config import (
    DEFAULT_DENSITY,
    DEFAULT_MATCH,
    DEFAULT_THRESHOLDS,
    PUBLISHED_THRESHOLDS,
    SEMANTICS_VERSION,
    KeywordFiles,
    MedicalFilterConfig,
)
from medray.corpus.medical.keywords import load_keywords
from medray.errors import InputError
from medray.languages import LANGUAGES
from medray.recipe import StageConfig, identity_config, input_patterns
from medray.storage.location import Location

DEFAULTS = MedicalFilterConfig()
SOME = {"keyword_count": 3, "density": 0.01}


def config(**fields: Any) -> MedicalFilterConfig:
    return MedicalFilterConfig.model_validate(fields)


def test_every_language_has_its_settings() -> None:
    for settings in (DEFAULT_MATCH, DEFAULT_DENSITY, DEFAULT_THRESHOLDS, PUBLISHED_THRESHOLDS):
        assert set(settings) == set(LANGUAGES)
    assert set(KeywordFiles.model_fields) == set(LANGUAGES)
    assert all((DEFAULT_MATCH[code] == "prefix") == LANGUAGES[code].spaced for code in LANGUAGES)


def test_the_published_thresholds_are_a_named_set() -> None:
    made = config(match="mmedlm", density="sum", thresholds="mmedlm")
    assert set(made.match.values()) == {"mmedlm"}
    assert {c: (t.keyword_count, t.density) for c, t in made.thresholds.items()} == {
        "en": (5, 0.04),
        "zh": (5, 0.05),
        "ja": (5, 0.05),
        "fr": (4, 0.04),
        "ru": (4, 0.02),
        "es": (4, 0.04),
    }


def test_a_recipe_names_only_the_languages_that_it_changes() -> None:
    made = config(thresholds={"en": SOME, "fr": SOME}, match={"fr": "boundary"})
    assert made.thresholds["en"].keyword_count == 3
    assert made.thresholds["zh"] == DEFAULTS.thresholds["zh"]
    assert (made.match["fr"], made.match["zh"]) == ("boundary", "substring")
    assert made.density == DEFAULTS.density


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"thresholds": {"de": SOME}}, "thresholds: no language de; there are en, zh"),
        ({"match": {"de": "prefix"}}, "match: no language de"),
        ({"match": {"en": "regex"}, "thresholds": {"en": SOME}}, "boundary"),
        ({"thresholds": {"en": {"keyword_count": 0, "density": 0.1}}}, "greater than or equal"),
        ({"thresholds": {"en": {"keyword_count": 1, "density": 1.1}}}, "less than or equal to 1"),
        ({"thresholds": {"en": {"keyword_count": 1}}}, "Field required"),
        ({"thresholds": "mine"}, "valid dictionary"),
        ({"engine": "grep"}, "compiled"),
        ({"keyword_files": {"de": "x"}}, "Extra inputs"),
    ],
)
def test_a_wrong_configuration_is_told(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**fields)


@pytest.mark.parametrize(
    ("fields", "language", "pair"),
    [
        ({"match": {"fr": "boundary"}}, "fr", "match: boundary and density: coverage"),
        ({"density": {"zh": "sum"}}, "zh", "match: substring and density: sum"),
        ({"density": "sum", "thresholds": {"en": SOME}}, "zh", "density: sum"),
        ({"match": "substring"}, "en", "match: substring"),
        ({"match": "mmedlm", "thresholds": {"en": SOME}}, "zh", "match: mmedlm"),
    ],
)
def test_thresholds_belong_to_one_match_and_density(
    fields: dict[str, object], language: str, pair: str
) -> None:
    with pytest.raises(ValidationError, match=rf"thresholds\.{language}: .* give those of.*{pair}"):
        config(**fields)


@pytest.mark.parametrize(
    ("fields", "languages"),
    [({}, "en, zh"), ({"match": "mmedlm"}, "en, zh"), ({"density": "sum"}, "en, zh")],
)
def test_published_thresholds_need_the_published_match_and_density(
    fields: dict[str, object], languages: str
) -> None:
    with pytest.raises(ValidationError, match=rf"mmedlm belong to .* not set for {languages}"):
        config(thresholds="mmedlm", **fields)


def test_a_configuration_survives_being_written_down() -> None:
    for made in (
        DEFAULTS,
        config(match="mmedlm", density="sum", thresholds="mmedlm"),
        config(match={"en": "boundary"}, thresholds={"en": SOME}),
    ):
        assert MedicalFilterConfig.model_validate_json(made.model_dump_json()) == made


class Stage(StageConfig):
    filter: MedicalFilterConfig


def test_own_keyword_files_are_inputs_and_the_engine_is_incidental() -> None:
    fields = {"keyword_files": {"en": "${lists}/en.txt"}, "engine": "reference"}
    stage = Stage(job="x", filter=config(**fields))
    assert input_patterns(stage) == [("filter.keyword_files.en", "${lists}/en.txt")]
    assert "engine" not in identity_config(stage)["filter"]


def test_decisions_depend_on_the_semantics_and_on_medrays_own_lists() -> None:
    own = config(keyword_files={"en": "en.txt"})
    assert own.depends_on(["en", "fr"]) == {
        "filter/semantics": str(SEMANTICS_VERSION),
        "keywords/fr": load_keywords("fr").fingerprint,
    }


def test_an_own_list_is_read_from_where_the_recipe_says(tmp_path: Path) -> None:
    (tmp_path / "en.txt").write_text("fever\nFEBRILE\n")
    made = config(keyword_files={"en": "${lists}/en.txt"})
    asked = []

    def locate(path: str, key: str) -> Location:
        asked.append((path, key))
        return Location.of(tmp_path / "en.txt")

    assert made.load_list("en", locate).words == ("fever", "FEBRILE")
    assert asked == [("${lists}/en.txt", "filter.keyword_files.en")]
    assert config(keyword_files={"en": str(tmp_path / "en.txt")}).load_list("en").words
    assert made.load_list("fr", locate) == load_keywords("fr")


def test_case_is_part_of_a_keyword_for_mmedlm_alone(tmp_path: Path) -> None:
    (tmp_path / "fr.txt").write_text("SIDA\nSida\n")
    files = {"fr": str(tmp_path / "fr.txt")}
    published = config(match={"fr": "mmedlm"}, thresholds={"fr": SOME}, keyword_files=files)
    assert len(published.load_list("fr").words) == 2
    with pytest.raises(InputError, match="given twice: sida"):
        config(keyword_files=files).load_list("fr")
