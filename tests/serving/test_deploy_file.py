"""Config files of `serve deploy`, read more strictly than Serve reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.cli import main
from serving.deploy_file import read_deploy_file

CONFIGS = sorted((Path(__file__).parents[2] / "serving" / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_files_of_the_house_are_right(path: Path) -> None:
    configs = read_deploy_file(path)
    assert all(config.host == "0.0.0.0" for config in configs)
    assert all(config.keys_file is not None for config in configs)
    read = yaml.safe_load(path.read_text())
    assert len({config.route_prefix for config in configs}) == len(read["applications"])
    # What stands before the proxy must not be stricter or slower than a model behind it.
    door = read["controller_options"]["runtime_env"]["env_vars"]
    for config in configs:
        assert config.max_body_bytes <= int(door["MEDRAY_DOOR_BODY_BYTES"])
        assert config.body_timeout_s <= float(door["MEDRAY_DOOR_BODY_TIMEOUT_S"])
        assert config.request_timeout_s < read["http_options"]["request_timeout_s"]


def test_the_proxies_door_can_be_imported() -> None:
    from serving.guard import door

    module, _, name = door.CALLBACK.rpartition(".")
    assert module == door.__name__
    assert callable(getattr(door, name))


def changed(path: Path, keys: str, value: Any) -> str:
    """The text of the first file with one value, at a path of keys, put in."""
    read = yaml.safe_load(CONFIGS[0].read_text())
    place: Any = read
    *parents, last = keys.split(".")
    for key in parents:
        place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
    place[last] = value
    text = yaml.safe_dump(read)
    path.write_text(text)
    return text


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        ("proxy_locatoin", "HeadOnly", "proxy_locatoin: unknown key; did you mean proxy_location"),
        ("http_options.prot", 1, "http_options.prot: unknown key"),
        ("http_options.port", "x", "http_options.port: Input should be a valid integer"),
        ("applications.0.rout_prefix", "/", "did you mean route_prefix"),
        ("applications.0.args.max_batch_tokenz", 1, "args.max_batch_tokenz: Extra inputs"),
        ("applications.0.args.num_blocks", 1, "does not fit the cache"),
        ("applications.0.args.host", "::", "args.host: say it as http_options.host"),
        ("applications.0.import_path", "other:app", "other:app; medray's is"),
        ("applications.0.runtime_env", {"env_varz": {}}, "runtime_env.env_varz: unknown key"),
        (
            "applications.0.deployments",
            [{"name": "model", "num_replicaz": 2}],
            "deployments.0.num_replicaz: unknown key; did you mean num_replicas",
        ),
        ("applications.0.deployments", [{"name": "modle"}], "no modle: model, accounts"),
        (
            "applications.0.deployments",
            [{"name": "model", "autoscaling_config": {"max_replicaz": 2}}],
            "autoscaling_config.max_replicaz: unknown key",
        ),
        ("controller_options.runtime_env.env_vars", [], "controller_options"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], keys: str, value: Any, message: str
) -> None:
    path = tmp_path / "serve.yaml"
    changed(path, keys, value)
    with pytest.raises(ValueError, match=r"serve\.yaml") as caught:
        read_deploy_file(path)
    assert message in str(caught.value)
    assert main(["serve", str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "serve.yaml"
    for text in ("a: [", "- a", ""):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"serve\.yaml"):
            read_deploy_file(path)
