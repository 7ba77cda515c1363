from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from medray.storage.artifact import Artifact, Manifest, changes, commit, fingerprint_of, flatten
from medray.storage.location import Location

FIELDS: dict[str, Any] = {
    "kind": "text",
    "stage": "one",
    "job": "write",
    "job_version": 1,
    "fingerprint": "f" * 32,
    "config": {"a": {"b": [1, 2]}, "seed": 0},
    "inputs": {"source": "1"},
    "counts": {"rows": 2},
    "results": {"loss": 0.5},
    "seconds": 1.5,
    "timings_s": {"reading": 1.0},
}


def committed(folder: Path) -> Artifact:
    return commit(Location.of(folder), **FIELDS)


def test_a_commit_lists_every_file_with_size_and_hash(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_bytes(b"abc")
    (tmp_path / "b.bin").write_bytes(b"")
    files = {file.path: file for file in committed(tmp_path).manifest.files}
    assert set(files) == {"b.bin", "deep/a.txt"}
    assert files["deep/a.txt"].size_bytes == 3
    assert files["deep/a.txt"].sha256 == hashlib.sha256(b"abc").hexdigest()


def test_leftovers_of_a_kill_and_the_marker_are_not_part_of_it(tmp_path: Path) -> None:
    (tmp_path / ".a.0123.partial").write_bytes(b"half")
    (tmp_path / "in_progress.json").write_bytes(b"{}")
    assert committed(tmp_path).manifest.files == []


def test_what_is_committed_is_opened(tmp_path: Path) -> None:
    made = committed(tmp_path)
    opened = Artifact.open(Location.of(tmp_path))
    assert opened == made
    assert opened is not None
    assert (opened / "x").path == str(tmp_path / "x")
    assert {"medray", "ray", "torch", "pyarrow"} <= opened.manifest.libraries.keys()


def test_without_a_manifest_there_is_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert Artifact.open(Location.of(tmp_path)) is None
    assert Artifact.open(Location.of(tmp_path / "none")) is None


def test_a_manifest_of_another_form_is_no_artifact(tmp_path: Path) -> None:
    committed(tmp_path)
    path = tmp_path / "manifest.json"
    tree = json.loads(path.read_text())
    for other in (tree | {"unknown": 1}, {k: v for k, v in tree.items() if k != "kind"}, []):
        path.write_text(json.dumps(other))
        assert Artifact.open(Location.of(tmp_path)) is None
    path.write_bytes(b'{"kind": "te')
    assert Artifact.open(Location.of(tmp_path)) is None


def test_the_fingerprint_does_not_depend_on_the_order_of_keys() -> None:
    one = fingerprint_of({"a": 1, "b": {"c": 2, "d": 3}}, 1, {"x": "1", "y": "2"})
    other = fingerprint_of({"b": {"d": 3, "c": 2}, "a": 1}, 1, {"y": "2", "x": "1"})
    assert one == other
    assert len(one) == 32


def test_the_fingerprint_depends_on_config_version_and_inputs() -> None:
    prints = {
        fingerprint_of({"a": 1}, 1, {"x": "1"}),
        fingerprint_of({"a": 2}, 1, {"x": "1"}),
        fingerprint_of({"a": 1}, 2, {"x": "1"}),
        fingerprint_of({"a": 1}, 1, {"x": "2"}),
        fingerprint_of({"a": 1}, 1, {"y": "1"}),
        fingerprint_of({"a": [1]}, 1, {"x": "1"}),
    }
    assert len(prints) == 6


def manifest(tmp_path: Path) -> Manifest:
    return committed(tmp_path).manifest


def test_nothing_changed_is_nothing_told(tmp_path: Path) -> None:
    assert changes(manifest(tmp_path), FIELDS["config"], 1, FIELDS["inputs"]) == []


def test_each_change_is_one_phrase(tmp_path: Path) -> None:
    config = {"a": {"b": [1, 3, 4]}, "seed": 0, "new": True}
    assert changes(manifest(tmp_path), config, 2, {"source": "9", "files/x": "1"}) == [
        "a.b.1: 2 -> 3",
        "a.b.2: absent -> 4",
        "new: absent -> True",
        "job version: 1 -> 2",
        "input files/x changed",
        "input source changed",
    ]


def test_a_removed_key_is_told(tmp_path: Path) -> None:
    assert changes(manifest(tmp_path), {"a": {"b": []}, "seed": 0}, 1, FIELDS["inputs"]) == [
        "a.b: absent -> []",
        "a.b.0: 1 -> absent",
        "a.b.1: 2 -> absent",
    ]


def test_flatten_gives_dotted_keys() -> None:
    assert flatten({"a": [1, {"b": None}], "c": {}, "d": []}) == {
        "a.0": 1,
        "a.1.b": None,
        "c": {},
        "d": [],
    }


TREES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text("xyz", min_size=1), TREES, max_size=4))
def test_flatten_keeps_every_leaf(tree: dict[str, Any]) -> None:
    def leaves(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value
        return sum(map(leaves, inner)) if isinstance(value, dict | list) and value else 1

    assert len(flatten(tree)) == leaves(tree)
