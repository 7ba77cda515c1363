"""The curate job in an object store that answers badly: the same corpus as on a local disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.fs as pafs
import pytest

import curate_runs as runs
from medray.languages import LANGUAGES
from medray.storage.location import Location
from object_store import google_server, s3_server

INPUTS = {code: f"${{corpus}}/{code}/*.parquet" for code in LANGUAGES}


def kill_when(run: runs.Curation, reached: Callable[[], bool], timeout_s: float = 300.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not reached():
        assert not run.ended, run.tail()
        assert time.monotonic() < deadline, run.tail()
        time.sleep(0.05)
    run.kill()


@pytest.mark.slow
def test_a_corpus_made_in_a_failing_store_through_a_kill_equals_a_local_one(tmp_path: Path) -> None:
    local = tmp_path / "corpus"
    runs.write_mixtures(local, 8, 4)
    recipe = runs.write_recipe(tmp_path, INPUTS, f"shard_rows: 4\n    {runs.SMALL}")
    variable = ("--variable", f"corpus={local}")
    runs.Curation.start(recipe, tmp_path / "made", tmp_path / "local.log", *variable).wait()
    expected = runs.contents(Location.of(tmp_path / "made" / "curate"))
    with s3_server() as (bucket, trouble):
        pafs.copy_files(
            str(local), Location.of(f"{bucket}/corpus").path,
            destination_filesystem=Location.of(bucket).filesystem,
        )  # fmt: skip
        trouble.error_share, trouble.slow_down_share, trouble.delay_share = 0.03, 0.02, 0.05
        words = ("--variable", f"corpus={bucket}/corpus")
        workspace, log = f"{bucket}/workspace", tmp_path / "store.log"
        stage = Location.of(f"{workspace}/curate")
        run = runs.Curation.start(recipe, workspace, log, *words)
        kill_when(run, lambda: len(list((stage / "filter").files())) > 8)
        assert not (stage / "manifest.json").is_file()
        runs.Curation.start(recipe, workspace, log, *words).wait()
        assert '"resumed: an earlier run was broken off here"' in log.read_text()
        assert trouble.done["500"] > 5
        assert trouble.done["503"] > 5
        trouble.error_share = trouble.slow_down_share = 0.0
        runs.assert_equal_contents(runs.contents(stage), expected)
        runs.assert_swept(stage)
        runs.Curation.start(recipe, workspace, log, *words).wait()
        assert '"skipped: already made"' in log.read_text()


@pytest.mark.slow
def test_a_store_that_does_not_answer_ends_the_job_with_one_line(tmp_path: Path) -> None:
    runs.write_mixtures(tmp_path / "corpus", 8, 4)
    recipe = runs.write_recipe(tmp_path, INPUTS, f"shard_rows: 4\n    {runs.SMALL}")
    words = ("--variable", f"corpus={tmp_path}/corpus")
    with s3_server() as (bucket, trouble):
        trouble.error_share = 1.0
        run = runs.Curation.start(recipe, f"{bucket}/workspace", tmp_path / "log", *words)
        line = run.wait(expected=1)
    assert line.startswith("medray: failed: ")
    assert "AWS Error" in line


@pytest.mark.slow
def test_a_corpus_made_in_google_storage_equals_a_local_one(tmp_path: Path) -> None:
    local = tmp_path / "corpus"
    runs.write_mixtures(local, 8, 4)
    settings = f"shard_rows: 4\n    {runs.SMALL}"
    (tmp_path / "local").mkdir()
    inputs = {code: f"{local}/{code}/*.parquet" for code in LANGUAGES}
    recipe = runs.write_recipe(tmp_path / "local", inputs, settings)
    runs.Curation.start(recipe, tmp_path / "made", tmp_path / "local.log").wait()
    expected = runs.contents(Location.of(tmp_path / "made" / "curate"))
    with google_server(error_share=0.005) as store:
        bucket = Location.of(store.uri("corpus"))
        bucket.upload(local)
        inputs = {code: store.uri(f"corpus/{code}/*.parquet") for code in LANGUAGES}
        recipe = runs.write_recipe(tmp_path, inputs, settings)
        workspace, log = store.uri("workspace"), tmp_path / "store.log"
        stage = Location.of(workspace) / "curate"
        run = runs.Curation.start(recipe, workspace, log)
        kill_when(run, lambda: len(list((stage / "filter").files())) > 8)
        assert not (stage / "manifest.json").is_file()
        runs.Curation.start(recipe, workspace, log).wait()
        assert '"resumed: an earlier run was broken off here"' in log.read_text()
        runs.assert_equal_contents(runs.contents(stage), expected)
        runs.assert_swept(stage)
        runs.Curation.start(recipe, workspace, log).wait()
        assert '"skipped: already made"' in log.read_text()
        passes = {folder.name: len(folder.folders()) for folder in stage.folders()}
        assert passes["windows"] == 1
        smaller = ("--set", "curate.windows.window_tokens=32")
        runs.Curation.start(recipe, workspace, log, *smaller).wait()
        assert {folder.name: len(folder.folders()) for folder in stage.folders()} == passes
