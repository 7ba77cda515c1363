"""The endpoint on this process's Ray: deploy it, run it until a signal, take it down."""

from __future__ import annotations

import errno
import os
import re
import shlex
import signal
import socket
import threading
import time
from dataclasses import dataclass

import httpx
import ray
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.exceptions import RayServeException

from serving.application import DEPLOYMENT, build_application, running_http_options
from serving.config import ServingConfig
from serving.guard import door
from serving.guard.body import BodyLimit

# The proxy's own time limit is later by this much, so that a replica that works on the request
# answers itself; it holds for requests that wait.
TIMEOUT_GRACE_S = 1.0

# Between "the replicas run" and "the proxy knows the route" lies one poll of the proxy, about 1 s.
ROUTE_WAIT_S = 60.0


class PortInUse(OSError):  # noqa: N818 (the name that callers know)
    """The port is taken by something that is not this Ray cluster's Serve."""


@dataclass(frozen=True)
class Endpoint:
    """A deployed endpoint. ``base_url`` ends in /v1, as OpenAI's clients want it."""

    base_url: str
    model_name: str
    application: str


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
    port = _listen(config)
    # The route too: one name on two routes would be one application.
    route = "" if config.route_prefix == "/" else config.route_prefix
    name = "medray-" + re.sub(r"[^\w.-]", "-", config.model_name + route)
    try:
        serve.run(application, name=name, route_prefix=config.route_prefix)
    except RayServeException as error:  # its last line says which application has the route
        raise ValueError(str(error).splitlines()[-1]) from error
    except RuntimeError:
        reason = serve.status().applications[name].deployments[DEPLOYMENT].message.strip()
        serve.delete(name)  # or Serve would try to start it for ever
        # Of a constructor's traceback the last line is what it raised.
        last = reason.splitlines()[-1] if reason else "Ray Serve gives no reason"
        failed = RuntimeError(f"no replica of {config.model_name} came up: {last}")
        failed.add_note(reason)
        raise failed from None
    local_host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)
    authority = f"[{local_host}]:{port}" if ":" in local_host else f"{local_host}:{port}"
    endpoint = Endpoint(
        f"http://{authority}{config.route_prefix.rstrip('/')}/v1", config.model_name, name
    )
    _await_route(endpoint, os.environ.get(config.api_key_environment, ""))
    return endpoint


def _listen(config: ServingConfig) -> int:
    """Start Serve's proxy for ``config``, or find it running; return the port.

    What the first endpoint says of bodies and time holds for the proxy of all.
    """
    host, port = config.host, config.port
    running = running_http_options()
    if running is not None:
        if running.host != host or port not in (0, running.port):
            raise ValueError(
                f"this Ray cluster already serves on {running.host}:{running.port}; use that "
                f"host and port, or shut its endpoints down before listening on {host}:{port}"
            )
        return int(running.port)
    port = _free_port(host, port)
    limit = BodyLimit(config.max_body_bytes, config.body_timeout_s)
    serve.start(
        http_options=HTTPOptions(
            host=host, port=port, request_timeout_s=config.request_timeout_s + TIMEOUT_GRACE_S
        ),
        controller_options={"runtime_env": {"env_vars": door.environment(limit)}},
    )
    return port


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
            answer = httpx.get(f"{endpoint.base_url}/models", headers=headers, timeout=5)
            # 401: a replica is there, and this process has no key of its keys file.
            if answer.is_success or answer.status_code == 401:
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


def curl_command(endpoint: Endpoint, config: ServingConfig) -> str:
    """Return a command that works as it stands in a shell where the key's variable is set."""
    variable = config.api_key_environment
    keyed = os.environ.get(variable) or config.keys_file is not None
    key = f'-H "Authorization: Bearer ${variable}" ' if keyed else ""
    body = f'{{"model": "{endpoint.model_name}", "prompt": "Fever is", "max_tokens": 16}}'
    return (
        f"curl -s {endpoint.base_url}/completions -H 'Content-Type: application/json' "
        f"{key}-d {shlex.quote(body)}"
    )


def run_forever(*configs: ServingConfig) -> None:
    """Deploy, print one line with a curl command each, and serve until SIGINT or SIGTERM.

    Must be called from the main thread, where Python delivers signals, and with a Ray that ends
    afterwards: Serve's proxy is left to it. When one of several models cannot be deployed, none is
    served.
    """
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    endpoints: list[Endpoint] = []
    try:
        for config in configs:
            endpoints.append(deploy(config))
        before = [signal.signal(number, lambda *_: stop.set()) for number in signals]
        try:
            for config, endpoint in zip(configs, endpoints, strict=True):
                command = curl_command(endpoint, config)
                print(f"serving {endpoint.model_name}; try: {command}", flush=True)
            stop.wait()
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)
    finally:
        for endpoint in endpoints:
            shutdown(endpoint, keep_proxy=True)
