"""The metrics of a run in MLflow, beside the files in its stage's folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from medray.errors import InputError
from medray.progress import StageLog
from medray.training.curves import Row, flat

FINGERPRINT_TAG = "medray.fingerprint"
# What MLflow's REST interface takes in one call.
METRICS_AT_ONCE, PARAMETERS_AT_ONCE = 1000, 100


def need_mlflow(key: str) -> None:
    """InputError where mlflow is not installed."""
    # It tells its makers of its use, from hospitals too, unless it is told not to.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        import mlflow  # noqa: F401
    except ImportError as error:
        raise InputError(f"{key}: pip install 'medray[mlflow]' for MLflow") from error


class MlflowRun:
    """One run of an experiment at MLFLOW_TRACKING_URI: that of a stage's fingerprint.

    A run that was broken off is gone on with; steps that are done again are told again, with the
    same numbers. A server that does not answer does not end a training: what it misses is told
    it with the next rows, and ``metrics.jsonl`` has all of it.
    """

    def __init__(
        self,
        experiment: str,
        name: str,
        fingerprint: str,
        parameters: Mapping[str, Any],
        log: StageLog,
    ) -> None:
        need_mlflow("training.mlflow_experiment")
        from mlflow.entities import Metric
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient, get_tracking_uri

        self._log, self._answers = log, True
        self._pending: list[Metric] = []
        self._client = MlflowClient()
        try:
            self._run = self._begin(experiment, name, fingerprint, parameters)
        except MlflowException as error:
            place = get_tracking_uri()
            raise InputError(f"MLFLOW_TRACKING_URI {place}: {one_line(error)}") from error

    def _begin(
        self, experiment: str, name: str, fingerprint: str, parameters: Mapping[str, Any]
    ) -> str:
        """Return the id of the run that has this fingerprint, a new one where none has."""
        from mlflow.entities import Param

        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else self._client.create_experiment(experiment)
        runs = self._client.search_runs([number], f"tags.`{FINGERPRINT_TAG}` = '{fingerprint}'")
        if runs:
            run = str(runs[0].info.run_id)
            self._client.update_run(run, "RUNNING")
            return run
        tags = {FINGERPRINT_TAG: fingerprint}
        run = str(self._client.create_run(number, tags=tags, run_name=name).info.run_id)
        told = [Param(key, str(value)) for key, value in parameters.items()]
        for first in range(0, len(told), PARAMETERS_AT_ONCE):
            self._client.log_batch(run, params=told[first : first + PARAMETERS_AT_ONCE])
        return run

    def add(self, row: Row) -> None:
        """Tell the server a row of metrics; where it does not answer, with the next one."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._pending += [
            Metric(name, value, now, row["step"]) for name, value in flat(row) if name != "step"
        ]
        self._send()

    def close(self, failed: bool) -> None:
        """Tell the server how the run ended."""
        from mlflow.exceptions import MlflowException

        self._send()
        try:
            self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")
        except MlflowException as error:
            self._missed(error)

    def _send(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            while self._pending:
                self._client.log_batch(self._run, metrics=self._pending[:METRICS_AT_ONCE])
                del self._pending[:METRICS_AT_ONCE]
            self._answers = True
        except MlflowException as error:
            self._missed(error)

    def _missed(self, error: Exception) -> None:
        if self._answers:
            told = one_line(error)
            self._log.event("MLflow does not answer; metrics.jsonl has all", error=told)
        self._answers = False


def one_line(error: Exception) -> str:
    return str(error).split("\n")[0][:200]
