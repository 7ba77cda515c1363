from __future__ import annotations

from pathlib import Path

import pytest

from medray.errors import InputError
from medray.evaluation.benchmarks.yaml_files import read_declarations

TWO = """
defaults:
  languages: [en]
  form: choice
  metrics: [accuracy]
  columns: {question: stem, options: {columns: [a, b]}}
  splits: {test: {format: csv}}
benchmarks:
  - defaults: {family: wards, columns: {answers: key}}
    benchmarks:
      - {name: surgery, splits: {test: {files: surgery.txt}}}
      - {name: geriatrics, metrics: [accuracy, points], splits: {test: {files: old.txt}}}
  - name: pharmacy
    columns: {answers: {column: number, counts_from: 1}}
    splits: {test: {files: drugs.txt}}
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "wards.yaml"
    file.write_text(text)
    return file


def test_benchmarks_of_one_file_share_defaults_and_groups_of_them_have_their_own(
    tmp_path: Path,
) -> None:
    surgery, geriatrics, pharmacy = read_declarations(written(tmp_path, TWO))
    assert [surgery.family, geriatrics.family, pharmacy.family] == ["wards", "wards", "own"]
    assert [surgery.metrics, geriatrics.metrics] == [["accuracy"], ["accuracy", "points"]]
    columns = surgery.columns
    assert columns is not None and columns.answers is not None and columns.options is not None
    assert (columns.answers.column, columns.options.columns) == ("key", ["a", "b"])
    part = pharmacy.splits["test"].parts[0]
    assert (part.files, part.format) == ("drugs.txt", "csv")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "name: pharmacy",
            "nam: pharmacy",
            "wards.yaml: no name: nam: unknown key; did you mean name",
        ),
        (
            "counts_from: 1",
            "counts_form: 1",
            "pharmacy: columns.answers.counts_form: unknown key; did you mean counts_from",
        ),
        (
            "counts_from: 1",
            "counts_from: 2",
            "pharmacy: columns.answers.counts_from: Input should be 0 or 1",
        ),
        (
            "format: csv",
            "format: cvs",
            "surgery: splits.test.parts.0.format: Input should be 'jsonl'",
        ),
        (
            "files: drugs.txt",
            "fils: drugs.txt",
            "pharmacy: splits.test.parts.0.fils: unknown key; did you mean files",
        ),
        (
            "stem, options",
            "stem, option",
            "surgery: columns.option: unknown key; did you mean options",
        ),
        (
            "benchmarks:\n  - defaults",
            "other: 1\nbenchmarks:\n  - defaults",
            "wards.yaml: other: beside benchmarks, only defaults may stand",
        ),
        (
            "  - name: pharmacy",
            "  - 3\n  - name: pharmacy",
            "wards.yaml: benchmarks: 3 is no object",
        ),
        (
            "benchmarks:\n  - defaults",
            "benchmarks:\n  - languages: [en]\n    defaults",
            "languages: beside benchmarks",
        ),
        ("form: choice", "form: choice\n  form: text", "key form is given twice"),
    ],
)
def test_a_wrong_file_names_benchmark_and_key(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert old in TWO
    with pytest.raises(InputError, match=told):
        read_declarations(written(tmp_path, TWO.replace(old, new, 1)))


@pytest.mark.parametrize("text", ["defaults: 3\nbenchmarks: []", "benchmarks: {name: ward}"])
def test_defaults_and_benchmarks_are_of_the_right_kind(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="defaults is an object, benchmarks a list"):
        read_declarations(written(tmp_path, text))
