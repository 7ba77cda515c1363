"""The endpoint on Ray Serve: build it, deploy it, run it until a signal, take it down."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

import httpx
import ray
from fastapi import FastAPI
from ray import serve
from ray.serve import context as serve_context
from ray.serve.config import AutoscalingConfig, BackpressureConfig, HTTPOptions
from ray.serve.exceptions import RayServeException

from serving.api import create_api
from serving.auth import KeyVerifier, verifier_for
from serving.config import ServingConfig
from serving.engine import EngineStoppedError
from serving.service import Service
from serving.transformers_engine import TransformersEngine

DEPLOYMENT = "model"

# Between "the replicas run" and "the proxy knows the route" lies one poll of the proxy, about 1 s.
ROUTE_WAIT_S = 60.0

# What a client that met a full queue is told to wait.
RETRY_AFTER_S = 1.0


class PortInUse(OSError):  # noqa: N818 (the name that callers know)
    """The port is taken by something that is not this Ray cluster's Serve."""


@dataclass(frozen=True)
class Endpoint:
    """A deployed endpoint. ``base_url`` ends in /v1, as OpenAI's clients want it."""

    base_url: str
    model_name: str
    application: str


class Replica:
    """One copy of the model in one Ray actor; Ray Serve sends it HTTP requests."""

    def __init__(self, config: ServingConfig, verifier: KeyVerifier | None) -> None:
        self._engine = TransformersEngine.load(config)
        self._service = Service.of(self._engine, config)
        self._verifier = verifier

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Ray Serve after the constructor."""
        return create_api(self._service, self._verifier)

    def check_health(self) -> None:
        """Called by Ray Serve every 10 s; a replica that raises is replaced."""
        if not self._engine.healthy():
            raise EngineStoppedError("the generation loop has ended")

    def __del__(self) -> None:
        """Called by Ray Serve when the replica is taken down."""
        self._engine.close()


def build_application(config: ServingConfig) -> serve.Application:
    """Return the Serve application of ``config``, for ``serve.run`` or a Serve config file.

    Reads the API key of the environment that calls it. Raises ``ValueError`` when the endpoint
    would listen beyond loopback without a key, ``FileNotFoundError`` when a folder is no model.
    """
    verifier = verifier_for(config.host, config.api_key_environment)
    _check_folders(config)
    autoscaling = AutoscalingConfig(
        min_replicas=config.autoscaling.min_replicas,
        max_replicas=config.autoscaling.max_replicas,
        target_ongoing_requests=config.autoscaling.target_ongoing_requests,
        upscale_delay_s=config.autoscaling.upscale_delay_s,
        downscale_delay_s=config.autoscaling.downscale_delay_s,
    )
    deployment = serve.deployment(
        name=DEPLOYMENT,
        autoscaling_config=autoscaling,
        max_ongoing_requests=config.max_ongoing_requests,
        max_queued_requests=config.max_queued_requests,
        backpressure_config=BackpressureConfig(status_code=503, retry_after_s=RETRY_AFTER_S),
        ray_actor_options={"num_cpus": config.num_cpus, "num_gpus": config.num_gpus},
    )(serve.ingress()(Replica))
    # A replica has another working directory.
    folders = {
        "model": config.model.absolute(),
        "adapter": config.adapter and config.adapter.absolute(),
    }
    return deployment.bind(config.model_copy(update=folders), verifier)


def _check_folders(config: ServingConfig) -> None:
    if not (config.model / "config.json").is_file():
        raise FileNotFoundError(f"model {config.model} holds no config.json")
    if (config.model / "prefix").is_dir():
        raise ValueError(f"model {config.model} answers behind its prefix, which cannot be served")
    if config.adapter is None:
        return
    about = config.adapter / "adapter_config.json"
    if not about.is_file():
        raise FileNotFoundError(f"adapter {config.adapter} holds no adapter_config.json")
    kind = json.loads(about.read_text("utf-8")).get("peft_type")
    if kind != "LORA":
        raise ValueError(f"adapter {config.adapter} is {kind}; LORA alone can be merged")


def deploy(config: ServingConfig) -> Endpoint:
    """Serve ``config`` from the Ray cluster that this process is connected to, and wait for it.

    Ray Serve has one HTTP proxy per cluster: a second endpoint shares host and port and needs a
    route prefix of its own. An application of the same model name is replaced. Raises
    ``PortInUse``, ``ValueError`` (proxy listens elsewhere, route taken, no key), and
    ``RuntimeError`` when no replica comes up or the route does not answer.
    """
    if not ray.is_initialized():
        raise RuntimeError("deploy needs a connection to Ray: call ray.init first")
    application = build_application(config)
    port = _listen(config.host, config.port)
    # The route too: one name on two routes would be one application.
    route = "" if config.route_prefix == "/" else config.route_prefix
    name = "medray-" + re.sub(r"[^\w.-]", "-", config.model_name + route)
    try:
        serve.run(application, name=name, route_prefix=config.route_prefix)
    except RayServeException as error:  # its last line says which application has the route
        raise ValueError(str(error).splitlines()[-1]) from error
    except RuntimeError as error:
        reason = serve.status().applications[name].deployments[DEPLOYMENT].message
        serve.delete(name)  # or Serve would try to start it for ever
        raise RuntimeError(f"no replica of {config.model_name} came up: {reason}") from error
    local_host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)
    authority = f"[{local_host}]:{port}" if ":" in local_host else f"{local_host}:{port}"
    endpoint = Endpoint(
        f"http://{authority}{config.route_prefix.rstrip('/')}/v1", config.model_name, name
    )
    _await_route(endpoint, os.environ.get(config.api_key_environment, ""))
    return endpoint


def _listen(host: str, port: int) -> int:
    """Start Serve's proxy on ``host``, or find it there; return the port."""
    running = _running_proxy()
    if running is not None:
        if running.host != host or port not in (0, running.port):
            raise ValueError(
                f"this Ray cluster already serves on {running.host}:{running.port}; use that "
                f"host and port, or shut its endpoints down before listening on {host}:{port}"
            )
        return int(running.port)
    port = _free_port(host, port)
    serve.start(http_options=HTTPOptions(host=host, port=port))
    return port


def _running_proxy() -> Any:
    """Return the HTTPOptions of the cluster's proxy, or None. Serve has no public way to ask."""
    client = serve_context._get_global_client(raise_if_no_controller_running=False)
    return None if client is None else client.http_config


def _free_port(host: str, port: int) -> int:
    """Return ``port``, or a free one for 0; ``PortInUse`` when something listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # Lets a port in TIME_WAIT pass, not one with a listener (Linux).
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortInUse(f"port {port} on {host} is in use; choose another or 0") from None
        return int(probe.getsockname()[1])


def _await_route(endpoint: Endpoint, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    deadline = time.monotonic() + ROUTE_WAIT_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{endpoint.base_url}/models", headers=headers, timeout=5).is_success:
                return
        except httpx.TransportError:
            pass  # the proxy is not up yet
        time.sleep(0.1)
    raise RuntimeError(f"{endpoint.base_url}/models did not answer in {ROUTE_WAIT_S:g} s")


def shutdown(endpoint: Endpoint, *, keep_proxy: bool = False) -> None:
    """Take the endpoint down; with the last application, the proxy goes too and frees the port.

    ``keep_proxy``: leave it running, for a Ray that ends at once and takes it along. Ending Serve
    itself makes Ray print that a task of the killed controller "will be retried".
    """
    serve.delete(endpoint.application)
    if not keep_proxy and not serve.status().applications:
        serve.shutdown()


def curl_command(endpoint: Endpoint, api_key_environment: str) -> str:
    """Return a command that works as it stands in a shell where the key's variable is set."""
    body = f'{{"model": "{endpoint.model_name}", "prompt": "Fever is", "max_tokens": 16}}'
    key = (
        f'-H "Authorization: Bearer ${api_key_environment}" '
        if os.environ.get(api_key_environment)
        else ""
    )
    return (
        f"curl -s {endpoint.base_url}/completions -H 'Content-Type: application/json' "
        f"{key}-d {shlex.quote(body)}"
    )


def run_forever(config: ServingConfig) -> None:
    """Deploy, print one line with a curl command, and serve until SIGINT or SIGTERM.

    Must be called from the main thread, where Python delivers signals, and with a Ray that ends
    afterwards: Serve's proxy is left to it.
    """
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    endpoint = deploy(config)
    before = [signal.signal(number, lambda *_: stop.set()) for number in signals]
    try:
        command = curl_command(endpoint, config.api_key_environment)
        print(f"serving {endpoint.model_name}; try: {command}", flush=True)
        stop.wait()
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
        shutdown(endpoint, keep_proxy=True)
