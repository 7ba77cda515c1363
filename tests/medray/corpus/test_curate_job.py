"""The curate job on six languages with planted faults: every row decided once, for its reason."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray

import curate_runs as runs
from jobs import curate
from jobs.cli import main
from jobs.registry import JOBS
from medray.corpus.explain import find_decision
from medray.corpus.folders import CorpusFolders
from medray.languages import LANGUAGES
from medray.pipeline import Run
from medray.progress import Reporter
from medray.recipe import load_recipe
from medray.runtime import RayRuntime
from medray.storage.location import Location

ENGLISH = runs.mixtures("en", 8)
EXAM = (
    "A forty-year-old patient with chest pain, fever and a new heart murmur is found to have "
    "three positive blood cultures; which single investigation would confirm the diagnosis of "
    "infective endocarditis before antibiotics are given by intravenous infusion?"
)
# Where each planted document stands, its text and what must become of it.
PLANTED: dict[str, tuple[str, str | None, str]] = {
    "original": ("en", ENGLISH[0], "kept"),
    "copy": ("en", ENGLISH[0], "exact_duplicate"),
    "nearly": ("en", ENGLISH[0] + " Read more about this disease.", "near_duplicate"),
    "foreign": ("en", runs.sample_texts("fr")[0], "language"),
    "spanish": ("fr", runs.sample_texts("es")[0], "language"),
    "football": ("en", runs.sample_texts("en")[1], "keyword_count"),
    "diluted": ("en", ENGLISH[1] + " and so on" * 3000, "keyword_density"),
    "empty": ("zh", "", "empty"),
    "null": ("ja", None, "no_text"),
    "telephone": ("en", ENGLISH[2] + " Call the ward on +44 20 7946 0958.", "kept"),
    "menu": ("en", f"Home\nAbout us\nContact\n\n{ENGLISH[3]}\n\nCookie policy", "kept"),
    "exam": ("en", f"{EXAM}\n", "contaminated"),
}


@dataclass(frozen=True)
class Made:
    """A workspace, the recipe that made it and the Ray that runs it."""

    recipe: Path
    workspace: Path
    address: str

    @property
    def stage(self) -> Location:
        return Location.of(self.workspace / "curate")

    def run(self, *overrides: str) -> str:
        """Run the recipe with this process's Ray; return "made" or "skipped"."""
        (outcome,) = self._run(overrides).execute()
        return outcome.outcome

    def check_rethreshold(self, *overrides: str) -> bool:
        options = argparse.Namespace(marked=None, explain=None, rethreshold=True)
        return curate.answer(options, self._run(overrides))

    def _run(self, overrides: tuple[str, ...]) -> Run:
        configs = {name: job.config for name, job in JOBS.items()}
        recipe = load_recipe(self.recipe, list(overrides), configs)
        runtime = RayRuntime(self.address, _connected=True)
        reporter = Reporter.for_stream(True)
        return Run(recipe, JOBS, Location.of(self.workspace), {}, runtime, reporter)

    def decision(self, name: str) -> dict[str, Any]:
        (row,) = [r for r in runs.decisions_of(self.stage).values() if r["url"] == name]
        return row

    def passes(self) -> dict[str, list[str]]:
        """Return by pass the folders that lie there."""
        names = ("filter", "duplicates", "screened", "decisions", "tokenizer", "windows")
        return {name: [f.name for f in (self.stage / name).folders()] for name in names}

    def times(self, name: str) -> Mapping[str, int]:
        folder = self.workspace / "curate" / name
        return {str(f): f.stat().st_mtime_ns for f in folder.rglob("*.parquet")}


def write_corpus(folder: Path) -> Path:
    for code in LANGUAGES:
        planted = [runs.document(text, name) for name, (c, text, _) in PLANTED.items() if c == code]
        rest = [
            runs.document(text, f"{code}/{n}", f"source-{n % 2}")
            for n, text in enumerate(runs.mixtures(code, 20, seed=1))
        ]
        runs.write_documents(folder / code / "a.parquet", [*planted, *rest], 12)
    exam = folder / "exam.txt"
    exam.write_text(EXAM + "\n", encoding="utf-8")
    benchmark = f'{{language: en, files: "{exam}", benchmark: planted}}'
    return runs.write_recipe(
        folder, {code: f"{folder}/{code}/*.parquet" for code in LANGUAGES},
        f"shard_rows: 12\n    decontaminate: {{files: [{benchmark}]}}\n    {runs.SMALL}",
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(ray_local: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("curate")
    address = ray.get_runtime_context().gcs_address
    corpus = Made(write_corpus(folder), folder / "workspace", address)
    assert corpus.run() == "made"
    yield corpus


def test_every_row_of_the_input_has_one_decision(made: Made) -> None:
    decisions = runs.decisions_of(made.stage)
    assert len(decisions) == 6 * 20 + len(PLANTED)
    assert {row["language"] for row in decisions.values()} == set(LANGUAGES)
    for row in decisions.values():
        assert row["keep"] == (row["reason"] == "kept") == (row["copies"] > 0) == (not row["step"])
    documents = runs.read_rows(CorpusFolders.read(made.stage).documents)
    kept = {name for name, row in decisions.items() if row["keep"]}
    assert {row["document_id"] for row in documents} == kept
    windows = runs.read_rows(CorpusFolders.read(made.stage).windows)
    assert {name for row in windows for name in row["document_ids"]} == kept


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_document_has_its_reason(made: Made, name: str) -> None:
    assert made.decision(name)["reason"] == PLANTED[name][2]


def test_the_evidence_stands_beside_the_reason(made: Made) -> None:
    original = made.decision("original")["document_id"]
    for name, least in (("copy", 1.0), ("nearly", 0.7)):
        row = made.decision(name)
        assert row["retained_id"] == original
        assert row["jaccard"] >= least
    assert made.decision("foreign")["detected_language"] == "fr"
    assert made.decision("menu")["removed_lines"] >= 3
    assert [span["kind"] for span in made.decision("telephone")["spans"]] == ["TELEPHONE"]
    assert made.decision("exam")["benchmark_item"].startswith("planted")
    assert made.decision("null")["text_hash"] is None


def test_the_manifest_counts_what_the_decisions_say(made: Made) -> None:
    results = (made.stage / "manifest.json").read_json()["results"]
    said: dict[str, dict[str, int]] = {}
    for row in runs.decisions_of(made.stage).values():
        counts = said.setdefault(row["language"], {})
        counts[row["reason"]] = counts.get(row["reason"], 0) + 1
    assert results["reasons"] == said
    for code, row in results["funnel"].items():
        steps = [count for step, count in row.items() if step not in _NO_STEPS]
        assert row["documents"] == sum(steps) == sum(said[code].values())


_NO_STEPS = ("documents", "characters", "tokens", "windows")


def test_report_and_audit_are_there(made: Made) -> None:
    page = (made.stage / "report" / "corpus.html").read_bytes().decode()
    assert "<svg" in page
    assert (made.stage / "report" / "audit.csv").read_bytes().count(b"\n") > 100
    assert runs.read_rows(CorpusFolders.read(made.stage).windows)
    runs.assert_swept(made.stage)


def test_a_second_run_is_skipped(made: Made) -> None:
    before = made.times(".")
    assert made.run() == "skipped"
    assert made.times(".") == before


@pytest.mark.parametrize("name", PLANTED)
def test_explain_tells_the_reason(
    made: Made, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    row = made.decision(name)
    assert find_decision(made.stage, row["document_id"]) == row
    words = ["curate", str(made.recipe), "--workspace", str(made.workspace)]
    assert main([*words, "--explain", row["document_id"]]) == 0
    told = capsys.readouterr().out
    assert f"url: {name}" in told
    if row["keep"]:
        assert "it stands in the corpus" in told
    else:
        assert f"went at step {row['step']}: {row['reason']}" in told
    if row["retained_id"]:
        assert row["retained_id"] in told
    if row["keyword_count"] is not None:
        assert f"{row['keyword_count']} distinct keywords" in told
    if name == "telephone":
        assert "de-identified: TELEPHONE at characters" in told


def test_explaining_an_unknown_document_is_refused(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["curate", str(made.recipe), "--workspace", str(made.workspace)]
    assert main([*words, "--explain", "nobody:7"]) == 2
    assert "--explain nobody:7: no such document in" in capsys.readouterr().err
    other = [*words, "--set", "curate.filter.match.en=substring", "--explain", "nobody:7"]
    other += ["--set", "curate.filter.thresholds.en={keyword_count: 3, density: 0.02}"]
    assert main(other) == 2
    assert "has no finished corpus" in capsys.readouterr().err


def test_rethreshold_refuses_where_text_must_be_read(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["curate", str(made.recipe), "--workspace", str(made.workspace), "--rethreshold"]
    assert main([*words, "--set", "curate.cleaning.minimum_characters=7"]) == 2
    line = capsys.readouterr().err
    assert "--rethreshold: more than filter.thresholds changed in stage curate" in line
    assert "cleaning.minimum_characters" in line
    assert main([*words[:3], str(made.workspace / "other"), *words[4:]]) == 2
    assert "stage curate has no decisions yet; run it first" in capsys.readouterr().err


WINDOWS = "curate.windows={window_tokens: 32, overlap_tokens: 8}"
AUDIT = "curate.audit.sentences_per_language=3"
STRICTER = "curate.filter.thresholds={en: {keyword_count: 25, density: 0.09}}"


def changed_passes(made: Made, *overrides: str) -> set[str]:
    """Run with overrides; return the passes that have another folder than before."""
    before = made.passes()
    assert made.run(*overrides) == "made"
    after = made.passes()
    assert all(len(folders) == 1 for folders in after.values()), after
    runs.assert_swept(made.stage)
    return {name for name, folders in after.items() if folders != before[name]}


def test_a_change_rebuilds_only_the_passes_that_it_concerns(made: Made, tmp_path: Path) -> None:
    assert changed_passes(made, WINDOWS) == {"windows"}
    assert changed_passes(made, WINDOWS, AUDIT) == {"decisions"}
    assert made.check_rethreshold(WINDOWS, AUDIT, STRICTER) is False
    kept = {name for name, row in runs.decisions_of(made.stage).items() if row["keep"]}
    assert "filter" in changed_passes(made, WINDOWS, AUDIT, STRICTER)
    fewer = {name for name, row in runs.decisions_of(made.stage).items() if row["keep"]}
    assert fewer < kept
    fresh = Made(made.recipe, tmp_path / "fresh", made.address)
    assert fresh.run(WINDOWS, AUDIT, STRICTER) == "made"
    runs.assert_equal_contents(runs.contents(made.stage), runs.contents(fresh.stage))
    assert "filter" in changed_passes(made, WINDOWS, AUDIT)
    assert kept == {name for name, row in runs.decisions_of(made.stage).items() if row["keep"]}
