from __future__ import annotations

from pathlib import Path

import pytest

from jobs.cli import JOB_VERBS, RECIPES, recipe_path
from jobs.registry import JOBS
from medray.errors import InputError
from medray.recipe import Recipe, expand, input_patterns, load_recipe

CONFIGS = {name: job.config for name, job in JOBS.items()}
# A recipe is a file with stages; beside them may lie files of overrides for one.
NAMES = sorted(p.stem for p in RECIPES.glob("*.yaml") if "\nstages:" in p.read_text("utf-8"))


def load(name: str, *overrides: str) -> Recipe:
    return load_recipe(recipe_path(name), overrides, CONFIGS)


def told(name: str, *overrides: str) -> str:
    with pytest.raises(InputError) as raised:
        load(name, *overrides)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_there_is_a_quickstart() -> None:
    assert "quickstart" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_recipe_is_checked_and_named_after_its_file(name: str) -> None:
    recipe = load(name)
    assert recipe.name == name
    assert {stage.job for stage in recipe.stages.values()} <= JOBS.keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_on_the_samples_finds_its_files(name: str, samples: Path) -> None:
    for stage, config in load(name).stages.items():
        for key, pattern in input_patterns(config):
            if pattern.startswith("${samples}"):
                assert expand(pattern, {"samples": str(samples)}, f"stages.{stage}.{key}")


def test_the_quickstart_goes_from_raw_text_to_a_report() -> None:
    jobs = [stage.job for stage in load("quickstart").stages.values()]
    wanted = ["curate", "pretrain", "finetune", "sweep", "benchmark", "report"]
    assert [job for job in jobs if job in wanted] == wanted


def test_every_job_is_registered_under_its_own_name() -> None:
    assert all(name == job.name for name, job in JOBS.items())
    assert set(JOBS) == set(JOB_VERBS)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "pretrain.training.stepps=5",
            "quickstart.yaml: stages.pretrain.training.stepps: unknown key; did you mean steps?",
        ),
        (
            "pretrain.training.optimizer.learning_rat=1",
            "quickstart.yaml: stages.pretrain.training.optimizer.learning_rat: unknown key; "
            "did you mean learning_rate?",
        ),
        (
            "curate.inputs.0.langage=en",
            "quickstart.yaml: stages.curate.inputs.0.langage: unknown key; did you mean language?",
        ),
        (
            "curate.inputs.0.language=de",
            "quickstart.yaml: stages.curate.inputs.0.language: no language de; there are "
            "en, zh, ja, fr, ru, es",
        ),
        (
            "finetune.model=pretain",
            "quickstart.yaml: stages.finetune.model: no earlier stage 'pretain'; "
            "did you mean pretrain?",
        ),
        (
            "pretrain.job=pretran",
            "quickstart.yaml: stages.pretrain.job: no job 'pretran'; did you mean pretrain?",
        ),
        (
            "pretrain.training.offload=parameters",
            "offload: parameters needs zero_stage >= 3",
        ),
        (
            "benchmark.questions.0.format=mmedbensh",
            "quickstart.yaml: stages.benchmark.questions.0.format: ",
        ),
        ("nam=x", "quickstart.yaml: nam: unknown key; did you mean name?"),
    ],
)
def test_a_wrong_key_or_value_is_told_with_the_nearest_name(override: str, expected: str) -> None:
    assert expected in told("quickstart", override)


def test_an_override_of_the_finetunings_questions_leaves_the_sweeps_alone() -> None:
    recipe = load("quickstart", "finetune.questions.0.limit=2")
    limits = [
        recipe.stages[name].model_dump()["questions"][0]["limit"] for name in ("finetune", "sweep")
    ]
    assert limits == [2, None]


def test_an_unknown_recipe_names_those_that_exist() -> None:
    with pytest.raises(InputError, match=r"no recipe quikstart: .*quickstart.*; a path ends in"):
        recipe_path("quikstart")
    assert recipe_path("my/own.yaml") == Path("my/own.yaml")
