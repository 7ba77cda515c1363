"""What a workspace holds: each stage done or unfinished (running, or broken off)."""

from __future__ import annotations

from typing import Any

from medray.errors import InputError
from medray.storage.artifact import IN_PROGRESS_NAME, Artifact
from medray.storage.location import Location


def status(workspace: Location) -> dict[str, dict[str, Any]]:
    """Return by stage name its state; InputError where no stage lies in the workspace."""
    stages: dict[str, dict[str, Any]] = {}
    for folder in workspace.folders():
        artifact = Artifact.open(folder)
        if artifact is not None:
            manifest = artifact.manifest
            stages[folder.name] = {
                "state": "done",
                "job": manifest.job,
                "fingerprint": manifest.fingerprint[:12],
                "seconds": manifest.seconds,
                "created": manifest.created,
            }
        elif (folder / IN_PROGRESS_NAME).is_file():
            stages[folder.name] = {"state": "unfinished"}
    if not stages:
        raise InputError(f"{workspace}: no stage of a run lies there")
    return stages
