from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.storage.location import (
    WHOLE_HASH_LIMIT_BYTES,
    Location,
    content_identity,
    sha256_of,
)
from object_store import GoogleStore, google_server


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleStore]:
    with google_server() as store:
        yield store


@pytest.fixture(params=["local", "memory", "google"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """A folder that does not exist yet, on local disk and in two object stores."""
    if request.param == "local":
        return Location.of(tmp_path / "folder")
    if request.param == "google":
        store: GoogleStore = request.getfixturevalue("google")
        return Location.of(store.uri(f"{tmp_path.name}/folder"))
    memory = MemoryFileSystem(skip_instance_cache=True)
    # fsspec keeps one store for the whole process.
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    return Location(pafs.PyFileSystem(pafs.FSSpecHandler(memory)), "/bucket/folder")


def test_what_is_written_is_read(folder: Location) -> None:
    (folder / "deep" / "a.bin").write_bytes(b"\x00\xff")
    (folder / "a.json").write_json({"ключ": [1, None]})
    assert (folder / "deep" / "a.bin").read_bytes() == b"\x00\xff"
    assert (folder / "a.json").read_json() == {"ключ": [1, None]}
    with (folder / "deep" / "a.bin").open_input() as file:
        assert file.read_at(1, 1) == b"\xff"


def test_a_second_write_replaces_the_first(folder: Location) -> None:
    (folder / "a").write_bytes(b"first and longer")
    (folder / "a").write_bytes(b"second")
    assert (folder / "a").read_bytes() == b"second"
    assert [file.name for file in folder.files()] == ["a"]


def test_files_are_found_at_every_depth_sorted(folder: Location) -> None:
    for name in ("b", "a/2", "a/1", "a/c/3"):
        (folder / name).write_bytes(b"x")
    assert [file.relative_to(folder) for file in folder.files()] == ["a/1", "a/2", "a/c/3", "b"]
    assert [inner.name for inner in folder.folders()] == ["a"]
    assert [inner.name for inner in (folder / "a").folders()] == ["c"]
    assert (folder / "a" / "c").folders() == []


def test_a_walk_finds_what_a_listing_finds_folder_by_folder(folder: Location) -> None:
    for name in ("b", "a/2", "a/1", "a/c/3", "a.b/4", ".b.12.partial"):
        (folder / name).write_bytes(b"x")
    found = [(f"{inner.path}/".removeprefix(f"{folder.path}/"), n) for inner, n in folder.walk()]
    assert found == [
        ("", [".b.12.partial", "b"]),
        ("a/", ["1", "2"]),
        ("a/c/", ["3"]),
        ("a.b/", ["4"]),
    ]


def test_a_walk_follows_links_and_passes_over_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "top" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").write_bytes(b"x")
    (tmp_path / "top" / "folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "top" / "file").symlink_to(tmp_path / "elsewhere" / "a")
    (tmp_path / "top" / "dangling").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "top" / "pipe")
    top = Location.of(tmp_path / "top")
    walked = [(inner / name).relative_to(top) for inner, names in top.walk() for name in names]
    assert walked == [file.relative_to(top) for file in top.files()] == ["file", "folder/a"]


def test_what_does_not_exist_is_empty(folder: Location) -> None:
    assert not folder.exists()
    assert not folder.is_file()
    assert list(folder.files()) == []
    assert [names for _, names in folder.walk()] == [[]]
    assert folder.folders() == []
    folder.delete_folder()


def test_a_folder_and_a_file_are_told_apart_and_deleted(folder: Location) -> None:
    (folder / "a" / "b").write_bytes(b"x")
    assert folder.exists()
    assert not folder.is_file()
    assert (folder / "a" / "b").is_file()
    (folder / "a" / "b").delete_file()
    assert not (folder / "a" / "b").exists()
    for name in ("a/c", "a/d/e", "ab"):
        (folder / name).write_bytes(b"x")
    (folder / "a").delete_folder()
    assert [file.relative_to(folder) for file in folder.files()] == ["ab"]
    assert folder.folders() == []


def test_a_folder_is_uploaded_with_all_its_files(folder: Location, tmp_path: Path) -> None:
    (tmp_path / "source" / "deep").mkdir(parents=True)
    (tmp_path / "source" / "deep" / "a").write_bytes(b"a")
    (tmp_path / "source" / "b").write_bytes(b"b")
    (folder / "target").upload(tmp_path / "source")
    assert {f.relative_to(folder): f.read_bytes() for f in folder.files()} == {
        "target/deep/a": b"a",
        "target/b": b"b",
    }


def test_only_a_local_location_has_a_local_path(folder: Location) -> None:
    if folder.is_local:
        assert str(folder.local_path()) == str(folder) == folder.path
    else:
        with pytest.raises(ValueError, match="not on a local disk"):
            folder.local_path()
        assert "://" in str(folder)


def test_a_file_uri_is_the_local_path(tmp_path: Path) -> None:
    assert Location.of(f"file://{tmp_path}/a%20b") == Location.of(tmp_path / "a b")
    assert Location.of(Location.of(tmp_path)) == Location.of(tmp_path)


def test_a_relative_path_and_home_become_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Location.of("runs/x").path == str(tmp_path / "runs/x")
    assert Location.of("~/x").path == str(tmp_path / "home/x")


def test_a_location_travels_to_another_process(folder: Location) -> None:
    if folder.filesystem.type_name.startswith("py::"):
        pytest.skip("a store in this process's memory has no other process")
    location = folder / "a"
    location.write_bytes(b"x")
    copied = pickle.loads(pickle.dumps(location))  # noqa: S301 - its own bytes
    assert copied == location
    assert copied.read_bytes() == b"x"


def test_a_write_that_fails_leaves_the_old_file(folder: Location) -> None:
    location = folder / "a"
    location.write_bytes(b"old")
    with pytest.raises(TypeError):
        location.write_bytes("text is not bytes")  # type: ignore[arg-type]
    assert location.read_bytes() == b"old"


@settings(max_examples=25)
@given(st.binary(max_size=200))
def test_sha256_is_that_of_the_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    location = Location.of(tmp_path_factory.getbasetemp() / "hashed")
    location.write_bytes(data)
    assert sha256_of(location) == (len(data), hashlib.sha256(data).hexdigest())
    assert content_identity(location) == hashlib.sha256(data).hexdigest()[:32]


def sparse(path: Path, size: int) -> Location:
    """A file of ``size`` bytes that takes no room on the disk."""
    with path.open("wb") as file:
        file.truncate(size)
    return Location.of(path)


def test_the_identity_of_a_small_file_does_not_depend_on_its_time(tmp_path: Path) -> None:
    location = Location.of(tmp_path / "a")
    location.write_bytes(b"same")
    before = content_identity(location)
    os.utime(tmp_path / "a", (1, 1))
    assert content_identity(location) == before


def test_the_identity_of_a_large_file_sees_size_time_and_both_ends(tmp_path: Path) -> None:
    size, path = WHOLE_HASH_LIMIT_BYTES + 10, tmp_path / "large"
    location = sparse(path, size)
    os.utime(path, (1, 1))
    before = content_identity(location)
    assert content_identity(location) == before
    identities = {before}
    for place in (0, size - 1):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"x")
        os.utime(path, (1, 1))
        identities.add(content_identity(location))
    os.utime(path, (2, 2))
    identities.add(content_identity(location))
    assert len(identities) == 4
