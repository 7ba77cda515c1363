"""What all tests share: one Ray for the session, the samples, the real data where it lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "jobs" / "samples"
REAL_DATA = ROOT.parent / "shared" / "data"

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep Ray's token, the OCR model cache and the like out of the user's home."""
    home = tmp_path_factory.mktemp("home")
    before = dict(os.environ)
    os.environ["HOME"] = str(home)
    os.environ["XDG_CACHE_HOME"] = str(home / ".cache")
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def ray_local(own_home: None) -> Iterator[None]:
    """One Ray for all tests that need one in this process."""
    from medray.runtime import RayRuntime

    runtime = RayRuntime(logical_cpus=8)
    runtime.connect()
    yield
    runtime.shutdown()


@pytest.fixture(scope="session")
def samples() -> Path:
    return SAMPLES


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real corpora and exams that may lie beside the checkout."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data at {REAL_DATA}")
    return REAL_DATA
