from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from medray.errors import InputError
from medray.pipeline import Job, Outcome, Run, StageContext, StageResult
from medray.progress import Reporter
from medray.recipe import Incidental, InputFiles, Recipe, Reference, StageConfig
from medray.runtime import RayRuntime
from medray.storage.artifact import Artifact
from medray.storage.location import Location


class WriteConfig(StageConfig):
    job: Literal["write"] = "write"
    text: str
    files: Annotated[str | None, InputFiles()] = None
    readers: Annotated[int, Incidental()] = 1


class CopyConfig(StageConfig):
    job: Literal["copy"] = "copy"
    source: Annotated[str, Reference(("text",))]


class BrokenError(Exception):
    """What a job of these tests raises on purpose."""


@dataclass
class Bench:
    """A workspace with two toy jobs, and what happened in it."""

    workspace: Location
    breaks: bool = False
    engine: str = "missing"
    calls: list[str] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    log: io.StringIO = field(default_factory=io.StringIO)

    def check(self, config: WriteConfig, context: StageContext) -> None:
        self.checked.append(context.name)
        if config.text == "wrong":
            raise InputError(f"stages.{context.name}.text: wrong")

    def depends_on(self, config: WriteConfig) -> dict[str, str]:
        return {"engine": self.engine}

    def write(self, config: WriteConfig, context: StageContext) -> StageResult:
        self.calls.append(context.name)
        self.found = sorted(file.name for file in context.output.files())
        parts = [config.text]
        if config.files is not None:
            parts += [file.read_bytes().decode() for file in context.files(config.files)]
        (context.output / "deep" / "first.txt").write_bytes(" ".join(parts).encode())
        if self.breaks:
            raise BrokenError
        (context.output / "second.txt").write_bytes(b"2")
        return StageResult({"parts": len(parts)}, {"seed": context.seed}, {"writing": 0.5})

    def copy(self, config: CopyConfig, context: StageContext) -> StageResult:
        self.calls.append(context.name)
        text = (context.artifacts[config.source] / "deep/first.txt").read_bytes()
        (context.output / "copy.txt").write_bytes(text)
        return StageResult({}, {})

    def run(
        self,
        stages: Mapping[str, StageConfig],
        only: list[str] | None = None,
        seed: int = 0,
        version: int = 1,
    ) -> list[Outcome]:
        self.calls, self.checked, self.log = [], [], io.StringIO()
        jobs: dict[str, Job[Any]] = {
            "write": Job(
                "write", version, "text", WriteConfig, self.write, self.check, self.depends_on
            ),
            "copy": Job("copy", 1, "copy", CopyConfig, self.copy),
        }
        recipe = Recipe(name="toy", seed=seed, stages=dict(stages))
        reporter = Reporter(as_json=True, stream=self.log)
        return Run(recipe, jobs, self.workspace, {}, RayRuntime(), reporter).execute(only)

    @property
    def messages(self) -> list[str]:
        return [json.loads(line)["message"] for line in self.log.getvalue().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Location.of(tmp_path / "workspace"))


def two(text: str = "a", **fields: Any) -> dict[str, StageConfig]:
    return {"one": WriteConfig(text=text, **fields), "two": CopyConfig(source="one")}


def outcomes(made: list[Outcome]) -> dict[str, str]:
    return {outcome.stage: outcome.outcome for outcome in made}


def test_a_stage_ends_in_an_artifact(bench: Bench) -> None:
    first, second = bench.run(two("hello"), seed=5)
    manifest = first.artifact.manifest
    assert (manifest.kind, manifest.stage, manifest.job) == ("text", "one", "write")
    assert (manifest.counts, manifest.results) == ({"parts": 1}, {"seed": 5})
    assert manifest.timings_s == {"writing": 0.5}
    assert manifest.config == {"job": "write", "text": "hello", "files": None, "seed": 5}
    assert {file.path: file.size_bytes for file in manifest.files} == {
        "deep/first.txt": 5,
        "second.txt": 1,
    }
    assert second.artifact.manifest.inputs == {"source": manifest.fingerprint}
    assert sorted(f.name for f in first.artifact.location.files()) == [
        "first.txt",
        "manifest.json",
        "second.txt",
    ]
    assert bench.messages == ["started", "done", "started", "done"]


def test_what_is_made_already_is_skipped(bench: Bench) -> None:
    bench.run(two())
    made = bench.run(two())
    assert outcomes(made) == {"one": "skipped", "two": "skipped"}
    assert bench.calls == []
    assert bench.messages == ["skipped: already made"] * 2
    assert made[0].artifact.manifest.counts == {"parts": 1}


def test_a_changed_key_rebuilds_and_is_told(bench: Bench) -> None:
    bench.run(two("a"))
    made = bench.run(two("b"))
    assert outcomes(made) == {"one": "made", "two": "made"}
    assert "rebuilt: text: a -> b" in bench.messages
    assert "rebuilt: input source changed" in bench.messages
    assert (made[1].artifact / "copy.txt").read_bytes() == b"b"


def test_going_back_rebuilds_again(bench: Bench) -> None:
    first = bench.run(two("a"))[0].artifact.manifest.fingerprint
    bench.run(two("b"))
    assert bench.run(two("a"))[0].artifact.manifest.fingerprint == first
    assert bench.calls == ["one", "two"]


def test_the_seed_is_part_of_what_a_stage_is(bench: Bench) -> None:
    bench.run(two(), seed=1)
    bench.run(two(), seed=2)
    assert "rebuilt: seed: 1 -> 2" in bench.messages


def test_the_jobs_version_is_part_of_what_a_stage_is(bench: Bench) -> None:
    bench.run(two(), version=1)
    bench.run(two(), version=2)
    assert "rebuilt: job version: 1 -> 2" in bench.messages


def test_what_a_job_depends_on_rebuilds_it_and_all_that_follows(bench: Bench) -> None:
    bench.run(two())
    bench.engine = "5.5"
    assert outcomes(bench.run(two())) == {"one": "made", "two": "made"}
    assert bench.messages[0] == "rebuilt: input engine changed"


def test_one_workspace_takes_one_run_at_a_time(bench: Bench) -> None:
    with bench.workspace.locked(), pytest.raises(InputError, match="another run works there"):
        bench.run(two())
    assert outcomes(bench.run(two())) == {"one": "made", "two": "made"}


def test_many_changes_are_told_in_short(bench: Bench, tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text("before")
    stages = two(files=str(tmp_path / "*.txt"))
    bench.run(stages)
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text("after")
    bench.run(stages)
    assert "and 5 more" in bench.messages[0]


def test_every_stage_is_checked_before_the_first_one_runs(bench: Bench) -> None:
    stages = two() | {"late": WriteConfig(text="wrong")}
    with pytest.raises(InputError, match=r"^stages\.late\.text: wrong$"):
        bench.run(stages)
    assert bench.calls == []
    assert bench.checked == ["one", "late"]


def test_what_is_made_already_is_not_checked_again(bench: Bench) -> None:
    bench.run(two())
    bench.run(two())
    assert bench.checked == []
    bench.run(two("b"))
    assert bench.checked == ["one"]


def test_only_what_will_run_is_checked(bench: Bench) -> None:
    stages = two() | {"late": WriteConfig(text="wrong")}
    assert outcomes(bench.run(stages, only=["two"])) == {"one": "made", "two": "made"}


def test_an_incidental_field_is_not(bench: Bench) -> None:
    bench.run(two(readers=1))
    assert outcomes(bench.run(two(readers=9))) == {"one": "skipped", "two": "skipped"}


def test_an_input_files_content_is_part_of_what_a_stage_is(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "input.txt"
    file.write_text("one")
    stages = two(files=str(tmp_path / "*.txt"))
    made = bench.run(stages)
    assert (made[1].artifact / "copy.txt").read_bytes() == b"a one"
    assert outcomes(bench.run(stages))["one"] == "skipped"
    file.write_text("two")
    assert outcomes(bench.run(stages))["one"] == "made"
    assert "rebuilt: input files/input.txt changed" in bench.messages


def test_a_new_input_file_rebuilds(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    stages = two(files=str(tmp_path / "*.txt"))
    bench.run(stages)
    (tmp_path / "b.txt").write_text("b")
    assert outcomes(bench.run(stages))["one"] == "made"


@pytest.mark.parametrize("changed", ["en", "fr"])
def test_input_files_of_one_name_in_two_folders_both_count(
    bench: Bench, tmp_path: Path, changed: str
) -> None:
    for folder in ("en", "fr"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part.txt").write_text(folder)
    stages = two(files=str(tmp_path / "*" / "part.txt"))
    bench.run(stages)
    (tmp_path / changed / "part.txt").write_text("changed")
    assert outcomes(bench.run(stages))["one"] == "made"


def test_moved_input_files_are_the_same_input(bench: Bench, tmp_path: Path) -> None:
    # The pattern itself is a key, so it is reached through a folder that is exchanged.
    place = tmp_path / "place"
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("same")
    place.symlink_to(tmp_path / "old")
    bench.run(two(files=f"{place}/*.txt"))
    place.unlink()
    place.symlink_to(tmp_path / "new")
    assert outcomes(bench.run(two(files=f"{place}/*.txt")))["one"] == "skipped"


def test_missing_input_files_are_told_with_stage_and_key(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^stages\.one\.files: no file matches"):
        bench.run(two(files=str(tmp_path / "*.none")))


def test_a_broken_stage_is_resumed_with_what_it_had(bench: Bench) -> None:
    bench.breaks = True
    with pytest.raises(BrokenError):
        bench.run(two())
    assert Artifact.open(bench.workspace / "one") is None
    assert "done" not in bench.messages
    bench.breaks = False
    assert outcomes(bench.run(two())) == {"one": "made", "two": "made"}
    assert "first.txt" in bench.found
    assert bench.messages[0] == "resumed: an earlier run was broken off here"


def test_a_broken_stage_of_another_configuration_is_cleared(bench: Bench) -> None:
    bench.breaks = True
    with pytest.raises(BrokenError):
        bench.run(two("a"))
    bench.breaks = False
    bench.run(two("b"))
    assert "first.txt" not in bench.found
    assert not any(message.startswith("resumed") for message in bench.messages)


def test_a_rebuild_that_breaks_leaves_no_artifact_of_either(bench: Bench) -> None:
    bench.run(two("a"))
    bench.breaks = True
    with pytest.raises(BrokenError):
        bench.run(two("b"))
    bench.breaks = False
    made = bench.run(two("a"))
    assert outcomes(made)["one"] == "made"
    assert (made[0].artifact / "deep/first.txt").read_bytes() == b"a"


def test_a_reference_to_the_wrong_kind_is_told(bench: Bench) -> None:
    stages = two() | {"three": CopyConfig(source="two")}
    with pytest.raises(
        InputError, match=r"^stages\.three\.source: stage two makes a copy; wanted is: text"
    ):
        bench.run(stages)
    assert bench.calls == []


def test_only_runs_what_is_named_and_what_that_needs(bench: Bench) -> None:
    stages = two() | {"other": WriteConfig(text="x"), "last": CopyConfig(source="other")}
    assert outcomes(bench.run(stages, only=["two"])) == {"one": "made", "two": "made"}
    assert bench.calls == ["one", "two"]
    assert outcomes(bench.run(stages, only=["other"])) == {"other": "made"}
    assert outcomes(bench.run(stages)) == {
        "one": "skipped",
        "two": "skipped",
        "other": "skipped",
        "last": "made",
    }


def test_two_workspaces_give_equal_fingerprints(bench: Bench, tmp_path: Path) -> None:
    other = replace(bench, workspace=Location.of(tmp_path / "other"))
    prints = [o.artifact.manifest.fingerprint for o in bench.run(two())]
    assert prints == [o.artifact.manifest.fingerprint for o in other.run(two())]


def test_a_manifest_that_cannot_be_read_is_made_anew(bench: Bench) -> None:
    bench.run(two())
    (bench.workspace / "one" / "manifest.json").write_bytes(b'{"kind": ')
    assert outcomes(bench.run(two())) == {"one": "made", "two": "skipped"}
