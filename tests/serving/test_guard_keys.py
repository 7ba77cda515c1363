"""Keys by name: made, kept as hashes, read from a file, demanded."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.cli import main
from serving.application import build_application
from serving.config import ServingConfig
from serving.guard.keys import Key, Keys, gather_keys, is_loopback, new_key, read_keys_file

VARIABLE = "MEDRAY_TEST_KEY"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def keys_file(folder: Path, *names: str) -> tuple[Path, list[str]]:
    """A file of fresh keys, and the keys."""
    made = [new_key(name) for name in names]
    path = folder / "keys.yaml"
    path.write_text("keys:\n" + "".join(entry.partition("\n")[2] for _, entry in made))
    return path, [key for key, _ in made]


def test_each_key_has_its_name_and_no_other_key_has_one(tmp_path: Path) -> None:
    path, (ward, night) = keys_file(tmp_path, "ward-3", "night.shift")
    keys = Keys(tuple(read_keys_file(path)))
    assert keys.name_of(ward) == "ward-3"
    assert keys.name_of(night) == "night.shift"
    assert keys.name_of("") is None
    assert keys.name_of(ward[:-1]) is None
    assert keys.name_of("geheim-鍵") is None


def test_neither_the_file_nor_what_is_kept_holds_a_key(tmp_path: Path) -> None:
    path, [key] = keys_file(tmp_path, "ward")
    secret = key.removeprefix("medray-")
    assert len(secret) >= 43  # 32 random bytes
    assert secret not in path.read_text()
    assert secret not in repr(read_keys_file(path))
    assert new_key("ward")[0] != new_key("ward")[0]
    assert Key.of("a", "same").hash != Key.of("a", "same").hash


def test_the_variables_key_stands_beside_those_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, [key] = keys_file(tmp_path, "ward")
    monkeypatch.setenv(VARIABLE, "geheim-鍵")
    keys = gather_keys("127.0.0.1", VARIABLE, path)
    assert keys is not None
    assert keys.name_of("geheim-鍵") == "environment"
    assert keys.name_of(key) == "ward"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keys: [", r"keys\.yaml:\d+: not YAML"),
        ("keys: []", "keys: List should have at least 1 item"),
        ("keys:\n- {name: a b, salt: ff, hash: ff}", r"keys\.0\.name: String should match"),
        ("keys:\n- {name: a, key: open-sesame}", r"keys\.0\.(salt|hash|key)"),
        ("kyes: []", r"keys: Field required"),
    ],
)
def test_a_wrong_keys_file_is_told_without_its_contents(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_keys_file(path)
    assert "sesame" not in str(caught.value)


def test_a_name_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = keys_file(tmp_path, "ward", "ward")
    with pytest.raises(ValueError, match="name 'ward' is taken"):
        gather_keys("127.0.0.1", VARIABLE, path)
    path, _ = keys_file(tmp_path, "environment")
    monkeypatch.setenv(VARIABLE, "secret")
    with pytest.raises(ValueError, match="name 'environment' is taken"):
        gather_keys("127.0.0.1", VARIABLE, path)


def test_listening_beyond_loopback_needs_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ServingConfig(model=Path("m"), host="0.0.0.0", api_key_environment=VARIABLE)
    with pytest.raises(ValueError, match=rf"host 0\.0\.0\.0 .* {VARIABLE} is not set"):
        build_application(config)
    path, _ = keys_file(tmp_path, "ward")
    assert gather_keys("0.0.0.0", VARIABLE, path) is not None
    assert gather_keys("127.0.0.1", VARIABLE, None) is None
    monkeypatch.setenv(VARIABLE, "secret")
    assert gather_keys("0.0.0.0", VARIABLE, None) is not None


def test_loopback() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org"))


def test_the_command_prints_a_key_once_with_its_entry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--new-key", "ward-3"]) == 0
    key, _, rest = capsys.readouterr().out.partition("\n")
    assert key not in rest
    path = tmp_path / "keys.yaml"
    path.write_text(rest)
    assert Keys(tuple(read_keys_file(path))).name_of(key) == "ward-3"
    # The quotas that the entry proposes need only lose their marks.
    path.write_text(rest.replace("    # ", "    "))
    [entry] = read_keys_file(path)
    assert entry.quota.requests_per_minute == 60
    assert main(["serve", "--new-key", "two words"]) == 2
    assert "letters" in capsys.readouterr().err
