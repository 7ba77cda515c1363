from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from serving.app import build_application
from serving.auth import KeyVerifier, is_loopback, verifier_for
from serving.config import ServingConfig


def test_the_model_is_named_after_its_folder() -> None:
    assert ServingConfig(model=Path("models/medglm")).model_name == "medglm"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"modle": "x"}, "modle"),
        ({"num_blocks": 2}, "does not fit the cache: num_blocks 2 x 256 = 512"),
        ({"autoscaling": {"min_replicas": 2}}, "min_replicas 2 is larger than max_replicas 1"),
        ({"route_prefix": "models/"}, "route_prefix"),
    ],
)
def test_contradictions_are_named(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ServingConfig.model_validate({"model": "m"} | fields)


def test_listening_beyond_loopback_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDRAY_TEST_KEY", raising=False)
    config = ServingConfig(model=Path("m"), host="0.0.0.0", api_key_environment="MEDRAY_TEST_KEY")
    with pytest.raises(ValueError, match=r"host 0\.0\.0\.0 .* MEDRAY_TEST_KEY is not set"):
        build_application(config)
    monkeypatch.setenv("MEDRAY_TEST_KEY", "secret")
    assert verifier_for(config.host, config.api_key_environment) is not None


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no config\.json"):
        build_application(ServingConfig(model=tmp_path))


def test_loopback() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org"))


def test_a_verifier_knows_the_key_and_does_not_hold_it() -> None:
    verifier = KeyVerifier.of("geheim-鍵")
    assert verifier.accepts("geheim-鍵")
    assert not verifier.accepts("geheim")
    assert not verifier.accepts("")
    assert "geheim" not in repr(verifier)
    assert KeyVerifier.of("a").digest != KeyVerifier.of("a").digest
