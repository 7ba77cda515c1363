"""A run's metrics in MLflow, through resumptions and while its store is away."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from medray.errors import InputError
from medray.progress import Reporter, StageLog
from medray.storage.location import Location
from medray.training.curves import Recorder, Row
from medray.training.tracking import MlflowRun

mlflow_tracking = pytest.importorskip("mlflow.tracking", reason="pip install 'medray[mlflow]'")
PARAMETERS = {"seed": 7, "optimizer.learning_rate": 1e-3}
Told = dict[str, list[tuple[int, float]]]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlflow").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return tmp_path / "mlflow"


@pytest.fixture
def log() -> StageLog:
    return StageLog(Reporter(True, io.StringIO()), "pretrain")


def begin(log: StageLog, fingerprint: str = "abc") -> MlflowRun:
    return MlflowRun("medical", "pretrain", fingerprint, PARAMETERS, log)


def told() -> list[tuple[str, dict[str, str], Told]]:
    """Return status, parameters and metrics of each run of the experiment."""
    client = mlflow_tracking.MlflowClient()
    experiment = client.get_experiment_by_name("medical").experiment_id
    found = []
    for run in client.search_runs([experiment]):
        history = {
            name: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, name)]
            for name in run.data.metrics
        }
        found.append((run.info.status, dict(run.data.params), history))
    return found


def test_rows_are_metrics_of_one_run_however_often_it_is_begun(
    store: Path, tmp_path: Path, log: StageLog
) -> None:
    rows: list[Row] = [{"step": 1, "loss": 3.0, "mfu": None}, {"step": 2, "perplexity": {"en": 8}}]
    for number, row in enumerate(rows):
        run = begin(log)
        recorder = Recorder(Location.of(tmp_path / "stage"), tmp_path / "scratch", run)
        recorder.add({"begin": number, "last": rows[:number]})
        recorder.add(row)
        recorder.close()
        run.close(failed=number == 0)
    [(status, parameters, history)] = told()
    assert status == "FINISHED"
    assert parameters == {"seed": "7", "optimizer.learning_rate": "0.001"}
    assert history == {"loss": [(1, 3.0)], "perplexity/en": [(2, 8.0)]}


def test_another_fingerprint_is_another_run(store: Path, log: StageLog) -> None:
    begin(log).close(failed=False)
    begin(log, "def").close(failed=True)
    assert sorted(status for status, _, _ in told()) == ["FAILED", "FINISHED"]


def test_what_a_store_missed_is_told_once_it_answers(store: Path, log: StageLog) -> None:
    run = begin(log)
    [folder] = [file.parent for file in store.glob("*/*/meta.yaml")]
    folder.rename(store / "away")
    run.add({"step": 1, "loss": 3.0})
    run.add({"step": 2, "loss": 2.0})
    (store / "away").rename(folder)
    run.add({"step": 3, "loss": 1.0})
    run.close(failed=False)
    [(_, _, history)] = told()
    assert history == {"loss": [(1, 3.0), (2, 2.0), (3, 1.0)]}
    stream = log.reporter.stream
    assert isinstance(stream, io.StringIO)
    [line] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert line["message"] == "MLflow does not answer; metrics.jsonl has all"


def test_a_server_that_is_not_there_is_told_before_training(
    monkeypatch: pytest.MonkeyPatch, log: StageLog
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match=r"MLFLOW_TRACKING_URI http://127\.0\.0\.1:9: "):
        begin(log)
