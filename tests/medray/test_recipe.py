from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from medray.errors import InputError
from medray.recipe import (
    Config,
    Incidental,
    InputFiles,
    Recipe,
    Reference,
    StageConfig,
    expand,
    identity_config,
    input_patterns,
    load_recipe,
    read_yaml,
    references,
)


class Source(Config):
    language: str
    files: Annotated[str, InputFiles()]
    limit: int | None = Field(default=None, ge=1)
    readers: Annotated[int, Incidental()] = 1


class Gather(StageConfig):
    job: Literal["gather"]
    sources: list[Source] = Field(min_length=1)
    by_name: dict[str, Source] = Field(default={})
    extra: Annotated[str | None, InputFiles()] = None
    batch_size: Annotated[int, Incidental()] = 8


class Rates(Config):
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = 0


class Train(StageConfig):
    job: Literal["train"]
    corpus: Annotated[str, Reference(("text",))]
    teacher: Annotated[str | None, Reference(("model", "adapter"))] = None
    rates: Rates = Field(default=Rates())


JOBS: dict[str, type[StageConfig]] = {"gather": Gather, "train": Train}
TEXT = """
name: example
seed: 3
stages:
  corpus:
    job: gather
    sources: &sources
      - {language: en, files: "en/*.txt"}
      - {language: fr, files: "fr/*.txt", readers: 4}
  again: {job: gather, sources: *sources}
  model:
    job: train
    corpus: corpus
    rates: {learning_rate: 2.0e-3}
"""


def load(tmp_path: Path, text: str = TEXT, *overrides: str) -> Recipe:
    path = tmp_path / "example.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path, overrides, JOBS)


def message(tmp_path: Path, text: str = TEXT, *overrides: str) -> str:
    with pytest.raises(InputError) as raised:
        load(tmp_path, text, *overrides)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def sources(recipe: Recipe, stage: str) -> list[Source]:
    config = recipe.stages[stage]
    assert isinstance(config, Gather)
    return config.sources


def test_a_recipe_becomes_typed_stages_in_order(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    assert (recipe.name, recipe.seed) == ("example", 3)
    assert list(recipe.stages) == ["corpus", "again", "model"]
    model = recipe.stages["model"]
    assert isinstance(model, Train)
    assert model.rates == Rates(learning_rate=2e-3, warmup_steps=0)


def test_the_seed_is_zero_where_none_is_given(tmp_path: Path) -> None:
    assert load(tmp_path, TEXT.replace("seed: 3\n", "")).seed == 0


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("seed: 3", "sed: 3", "example.yaml: sed: unknown key; did you mean seed?"),
        (
            "learning_rate: 2",
            "learning_rat: 2",
            "example.yaml: stages.model.rates.learning_rat: unknown key; "
            "did you mean learning_rate?",
        ),
        (
            "{language: en,",
            "{langauge: en,",
            "example.yaml: stages.corpus.sources.0.langauge: unknown key; did you mean language?",
        ),
        (
            "    corpus: corpus",
            "    corpus: corpse",
            "example.yaml: stages.model.corpus: no earlier stage 'corpse'; did you mean corpus?",
        ),
        (
            "job: train",
            "job: trian",
            "example.yaml: stages.model.job: no job 'trian'; did you mean train?",
        ),
        (
            "rates: {learning_rate: 2.0e-3}",
            "rates: {learning_rate: -1}",
            "example.yaml: stages.model.rates.learning_rate: Input should be greater than 0 "
            "(given: -1)",
        ),
        (
            "    corpus: corpus",
            "    teacher: corpus",
            "example.yaml: stages.model.corpus: Field required",
        ),
    ],
)
def test_a_fault_is_told_with_file_key_and_remedy(
    tmp_path: Path, before: str, after: str, expected: str
) -> None:
    assert before in TEXT
    assert message(tmp_path, TEXT.replace(before, after)) == expected


def test_a_name_like_none_lists_all_names(tmp_path: Path) -> None:
    text = TEXT.replace("rates: {learning_rate", "rates: {zzz")
    assert message(tmp_path, text).endswith(
        "rates.zzz: unknown key; there are learning_rate, warmup_steps"
    )


def test_a_stage_cannot_refer_to_a_later_one(tmp_path: Path) -> None:
    text = """
name: example
stages:
  model: {job: train, corpus: corpus}
  corpus: {job: gather, sources: [{language: en, files: x}]}
"""
    assert "stages.model.corpus: no earlier stage 'corpus'; there are none" in message(
        tmp_path, text
    )


@pytest.mark.parametrize(
    "text",
    ["", "- a", "just text", "a: [", "name: x\nstages: {}", "name: x", "stages: 3\nname: x"],
)
def test_what_is_no_recipe_is_an_input_error(tmp_path: Path, text: str) -> None:
    assert "example.yaml" in message(tmp_path, text)


def test_a_missing_or_binary_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read"):
        load_recipe(tmp_path / "none.yaml", [], JOBS)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(InputError, match=r"binary\.yaml: cannot be read"):
        load_recipe(tmp_path / "binary.yaml", [], JOBS)


@pytest.mark.parametrize("name", ["..", ".", "../other", "a/b", "a.b", "", "-x"])
def test_a_stages_name_cannot_lead_out_of_the_workspace(tmp_path: Path, name: str) -> None:
    text = f"name: x\nstages:\n  '{name}': {{job: gather, sources: [{{language: en, files: x}}]}}"
    assert f"stages.{name}" in message(tmp_path, text)


def test_an_override_is_read_as_yaml(tmp_path: Path) -> None:
    recipe = load(tmp_path, TEXT, "seed=9", "stages.model.rates.warmup_steps= 5 ")
    model = recipe.stages["model"]
    assert isinstance(model, Train)
    assert (recipe.seed, model.rates.warmup_steps) == (9, 5)


def test_an_override_may_begin_with_a_stages_name(tmp_path: Path) -> None:
    model = load(tmp_path, TEXT, "model.rates.warmup_steps=5").stages["model"]
    assert isinstance(model, Train)
    assert model.rates == Rates(learning_rate=2e-3, warmup_steps=5)


def test_an_override_makes_the_mappings_on_its_way(tmp_path: Path) -> None:
    text = TEXT.replace("    rates: {learning_rate: 2.0e-3}\n", "")
    model = load(tmp_path, text, "model.rates.learning_rate=0.5").stages["model"]
    assert isinstance(model, Train)
    assert model.rates.learning_rate == 0.5


def test_an_override_reaches_into_a_list(tmp_path: Path) -> None:
    recipe = load(
        tmp_path, TEXT, "corpus.sources.1.limit=5", "corpus.sources.0={language: ru, files: r}"
    )
    first, second = sources(recipe, "corpus")
    assert (first.language, first.files) == ("ru", "r")
    assert (second.language, second.limit) == ("fr", 5)


def test_an_override_of_a_value_with_an_anchor_changes_one_stage_only(tmp_path: Path) -> None:
    recipe = load(tmp_path, TEXT, "corpus.sources.0.limit=5")
    assert sources(recipe, "corpus")[0].limit == 5
    assert sources(recipe, "again")[0].limit is None


def test_an_override_of_the_later_stage_leaves_the_anchors_own(tmp_path: Path) -> None:
    recipe = load(tmp_path, TEXT, "again.sources.1.language=es")
    assert sources(recipe, "again")[1].language == "es"
    assert sources(recipe, "corpus")[1].language == "fr"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed", "--set seed: write it as key.key=value"),
        ("=3", "--set =3: write it as key.key=value"),
        ("model..rates=3", "--set model..rates=3: write it as"),
        ("seed=[", "--set seed=[: the value is not YAML"),
        ("seed.x=1", "--set seed.x=1: seed holds a value, not keys"),
        ("seed.x.y=1", "--set seed.x.y=1: seed.x: its parent holds a value, not keys"),
        ("corpus.sources.2.limit=1", "stages.corpus.sources.2: the list has entries 0..1"),
        ("corpus.sources.2={}", "the list has entries 0..1"),
        ("corpus.sources.x.limit=1", "the list has entries 0..1"),
        ("corpus.sources.-1.limit=1", "the list has entries 0..1"),
        ("corpus.sources.².limit=1", "the list has entries 0..1"),
        ("model.rates.warmup=1", "stages.model.rates.warmup: unknown key; did you mean warmup"),
    ],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str, expected: str) -> None:
    assert expected in message(tmp_path, TEXT, override)


@settings(max_examples=60)
@given(
    key=st.text("abcdefgsmodelcorpus.0123² -_", max_size=20),
    value=st.text("[]{}:,'\"&*!|>%@ab1\n\t#- ", max_size=8),
)
def test_no_override_ends_in_anything_but_a_recipe_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_text(TEXT, encoding="utf-8")
    try:
        assert isinstance(load_recipe(path, [f"{key}={value}"], JOBS), Recipe)
    except InputError as error:
        assert "\n" not in str(error)


def gather(**fields: Any) -> Gather:
    tree = {"job": "gather", "sources": [{"language": "en", "files": "a*"}]} | fields
    return Gather.model_validate(tree)


def test_references_are_listed_with_their_kinds() -> None:
    config = Train(job="train", corpus="c", teacher=None)
    assert references(config) == [("corpus", "c", ("text",))]
    config = Train(job="train", corpus="c", teacher="t")
    assert references(config)[1] == ("teacher", "t", ("model", "adapter"))


def test_input_patterns_are_found_in_lists_and_mappings() -> None:
    config = gather(by_name={"x": {"language": "fr", "files": "b*"}}, extra="c*")
    assert input_patterns(config) == [
        ("sources.0.files", "a*"),
        ("by_name.x.files", "b*"),
        ("extra", "c*"),
    ]
    assert input_patterns(gather()) == [("sources.0.files", "a*")]


def test_the_identity_leaves_incidental_fields_out_at_every_depth() -> None:
    one = gather(by_name={"x": {"language": "fr", "files": "b", "readers": 3}}, batch_size=2)
    other = gather(by_name={"x": {"language": "fr", "files": "b", "readers": 9}}, batch_size=7)
    assert identity_config(one) == identity_config(other)
    tree = identity_config(one)
    assert "batch_size" not in tree
    assert "readers" not in tree["sources"][0]
    assert "readers" not in tree["by_name"]["x"]
    assert tree["sources"][0]["language"] == "en"


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def names_of(pattern: str, folder: Path, **variables: str) -> list[str]:
    found = expand(pattern, variables, "stages.corpus.files")
    return [file.path.removeprefix(f"{folder}/") for file in found]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_pattern_gives_the_files_sorted(tmp_path: Path, scheme: str) -> None:
    write(tmp_path, "b.txt", "a.txt", "c.md", "deep/d.txt", "e 1.txt")
    (tmp_path / "folder.txt").mkdir()
    root = f"{scheme}{tmp_path}"
    assert names_of(f"{root}/*.txt", tmp_path) == ["a.txt", "b.txt", "e 1.txt"]
    assert names_of(f"{root}/?.txt", tmp_path) == ["a.txt", "b.txt"]
    assert names_of(f"{root}/*/*.txt", tmp_path) == ["deep/d.txt"]
    assert names_of(f"{root}/[bc].*", tmp_path) == ["b.txt", "c.md"]
    assert names_of(f"{root}/c.md", tmp_path) == ["c.md"]


def test_a_file_uri_may_write_a_blank_as_20(tmp_path: Path) -> None:
    write(tmp_path, "a b/c 1.txt")
    assert names_of(f"file://{tmp_path}/a%20b/*.txt", tmp_path) == ["a b/c 1.txt"]
    assert names_of(f"file://{tmp_path}/a%20b/c%201.txt", tmp_path) == ["a b/c 1.txt"]


def test_a_pattern_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.txt")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names_of("~/*.txt", tmp_path) == ["a.txt"]


def test_variables_are_filled_in(tmp_path: Path) -> None:
    write(tmp_path, "en/a.txt")
    assert names_of("${data}/${code}/*.txt", tmp_path, data=str(tmp_path), code="en") == [
        "en/a.txt"
    ]


@pytest.mark.parametrize(
    "pattern",
    [
        "{root}/none.txt",
        "{root}/*.none",
        "{root}",
        "file://{root}/none.txt",
        "file://{root}/*.none",
        "file://elsewhere{root}/a.txt",
        "nosuch://bucket/*.txt",
        "nosuch://bucket/a.txt",
        "s3://",
        "${{data}}/a.txt",
    ],
)
def test_a_pattern_without_files_names_its_key(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, "a.txt")
    with pytest.raises(InputError, match=r"^stages\.corpus\.files: .+") as raised:
        expand(pattern.format(root=tmp_path), {"samples": "x"}, "stages.corpus.files")
    assert "\n" not in str(raised.value)


def test_an_unknown_variable_names_those_that_exist() -> None:
    with pytest.raises(InputError, match=r"no variable \$\{data\}; there are samples"):
        expand("${data}/a.txt", {"samples": "x"}, "stages.corpus.files")


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("name: a\nstages:\n  one: {job: x}\n  one: {job: y}\n")
    with pytest.raises(InputError, match="line 4: key one is given twice"):
        read_yaml(path)
