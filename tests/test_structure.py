"""What design decides about the folders and holds for all of them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "platform" / "medray"
FOLDERS = ("platform", "serving", "jobs", "cluster", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# Which of the house's packages each may import.
MAY_IMPORT = {
    "medray": {"medray"},
    "serving": {"serving", "medray"},
    "cluster": {"cluster", "medray"},
    "jobs": {"jobs", "serving", "cluster", "medray"},
}
# Inside medray: a layer may import itself and those above it in this list, never one below.
LAYERS = (
    {
        "errors",
        "intervals",
        "languages",
        "storage",
        "progress",
        "recipe",
        "inputs",
        "runtime",
        "pipeline",
    },
    {"scans", "corpus", "instruct", "models"},
    {"training", "evaluation"},
    {"tuning"},
)
LONGEST_FILE_LINES = 400


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(part: str) -> int:
    found = [number for number, layer in enumerate(LAYERS) if part in layer]
    assert found, f"medray.{part} belongs to no layer"
    return found[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way_between_packages(package: str) -> None:
    folder = LIBRARY if package == "medray" else ROOT / package
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted(folder.rglob("*.py"))
        for name in imports(path)
        if name.split(".")[0] in MAY_IMPORT.keys() - MAY_IMPORT[package]
    ]
    assert wrong == []


def test_imports_point_one_way_inside_medray() -> None:
    wrong = []
    for path in sorted(LIBRARY.rglob("*.py")):
        part = path.relative_to(LIBRARY).parts[0].removesuffix(".py")
        for name in imports(path):
            parts = name.split(".")
            if part == "__init__" or parts[0] != "medray" or len(parts) == 1:
                continue
            if parts[1] != "__version__" and layer_of(parts[1]) > layer_of(part):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_every_part_of_medray_belongs_to_a_layer() -> None:
    parts = {path.name for path in LIBRARY.iterdir() if (path / "__init__.py").is_file()}
    parts |= {path.stem for path in LIBRARY.glob("*.py")} - {"__init__"}
    assert parts == set().union(*LAYERS)


def test_platform_is_a_source_root_and_no_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()


@pytest.mark.parametrize("arguments", [["-c"], ["-P", "-c"]])
def test_platform_is_the_standard_librarys(arguments: list[str]) -> None:
    code = "import platform; print(platform.__file__); platform.machine()"
    done = subprocess.run(
        [sys.executable, *arguments, code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).parent == Path(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize("package", ["medray", "serving", "jobs"])
def test_each_package_is_imported_from_this_checkout(package: str, tmp_path: Path) -> None:
    code = f"import {package}; print({package}.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).is_relative_to(ROOT)


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    too_long = [
        f"{path.relative_to(ROOT)}: {length} lines"
        for path, length in lengths.items()
        if length > LONGEST_FILE_LINES
    ]
    assert too_long == []


def test_tests_are_no_packages() -> None:
    assert sorted((ROOT / "tests").rglob("__init__.py")) == []


def test_nothing_stops_every_ray_of_a_machine() -> None:
    """It would end the clusters of everybody else on the host."""
    command = re.compile(r"""\bray["', ]+stop\b""")
    texts = [*SOURCES, ROOT / "Makefile", ROOT / ".ci" / "run"]
    texts += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.sh")]
    wrong = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in texts
        for line in path.read_text(encoding="utf-8").splitlines()
        if command.search(line.partition("#")[0])
    ]
    assert wrong == []
