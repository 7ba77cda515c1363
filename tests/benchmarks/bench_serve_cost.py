"""What Ray Serve and the guard cost a request: an engine that does nothing, by HTTP.

The same FastAPI application under bare uvicorn, in the same run, in turn, is the floor. Each server
is a process of its own; the clients are one more process, so on two cores all of them share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response
from servers import running

KEY = "a-key-of-the-benchmark"
BODY = json.dumps({"model": "null", "prompt": [1, 2, 3], "max_tokens": 1}).encode()
HEADERS = {"Authorization": f"Bearer {KEY}", "content-type": "application/json"}
SERVERS = {
    "bare uvicorn": {},
    "uvicorn + gate": {},
    "Serve + gate": {},
    "Serve + gate + door": {},
    "Serve, HAProxy, gate + door": {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    },
}
CLIENTS = (1, 8, 32)


def null_api(gate: bool) -> Any:
    """Return an application that answers a completion without computing one."""
    from serving.guard.body import BodyLimit
    from serving.guard.gate import Gate
    from serving.guard.keys import Key, Keys
    from serving.guard.record import AccessLog

    api = FastAPI()

    async def completions(request: Request) -> Response:
        asked = json.loads(await request.body())
        choice = {"text": "", "index": 0, "finish_reason": "length"}
        answer = {"id": "x", "model": asked["model"], "choices": [choice]}
        return Response(json.dumps(answer), media_type="application/json")

    # Not by a decorator: FastAPI would look the annotations up where a replica does not have them.
    api.add_route("/v1/completions", completions, methods=["POST"])
    if gate:
        keys = Keys((Key.of("bench", KEY),))
        log = AccessLog(Path(os.environ["MEDRAY_BENCH_LOGS"]), "bench")
        limit = BodyLimit(8 * 2**20, 30)
        api.add_middleware(Gate, keys=keys, body_limit=limit, accounts=None, log=log)
    return api


class Null:
    """The replica."""

    def __serve_build_asgi_app__(self) -> Any:
        return null_api(gate=True)


def run_server(name: str, port: int) -> None:
    """Serve until this process is ended."""
    if not name.startswith("Serve"):
        import uvicorn

        uvicorn.run(null_api("gate" in name), port=port, log_level="error", access_log=False)
        return
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions

    from serving.guard import door
    from serving.guard.body import BodyLimit

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    variables = door.environment(BodyLimit(8 * 2**20, 30)) if "door" in name else {}
    options = {"runtime_env": {"env_vars": variables}} if variables else None
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=port), controller_options=options)
    deployment = serve.deployment(max_ongoing_requests=1000)(serve.ingress()(Null))
    serve.run(deployment.bind())
    time.sleep(3600)


@contextmanager
def server(name: str, folder: Path) -> Iterator[str]:
    """Start a server; yield the address of its route."""
    from medray.runtime import free_port

    port = free_port()
    variables = SERVERS[name] | {"MEDRAY_BENCH_LOGS": str(folder)}
    command = [sys.executable, __file__, "--server", name, "--port", str(port)]
    url = f"http://127.0.0.1:{port}/v1/completions"
    with running(
        command, variables, lambda: httpx.post(url, content=BODY, headers=HEADERS, timeout=5)
    ):
        yield url


@dataclass(frozen=True)
class Sample:
    """One run: seconds of each request, and of all together."""

    each_s: list[float]
    wall_s: float


def ask(url: str, clients: int, requests: int) -> Sample:
    """Send ``requests`` by ``clients`` at once, over connections that are kept."""
    return asyncio.run(_ask(url, clients, requests))


async def _ask(url: str, clients: int, requests: int) -> Sample:
    each: list[float] = []

    async def one(count: int) -> None:
        # The bytes by hand: httpx alone takes longer than the servers measured here.
        host, _, port = url.split("/")[2].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        lines = [f"{name}: {value}" for name, value in HEADERS.items()]
        head = ["POST /v1/completions HTTP/1.1", f"host: {host}", f"content-length: {len(BODY)}"]
        sent = "\r\n".join([*head, *lines, "", ""]).encode() + BODY
        for _ in range(count):
            began = time.perf_counter()
            try:
                writer.write(sent)
                answer = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                # HAProxy closes connections when it takes up a new configuration, after a start.
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(sent)
                answer = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in answer[:16]:
                raise RuntimeError(answer.decode())
            length = next(
                int(line.split(b":")[1])
                for line in answer.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            each.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*[one(requests // clients) for _ in range(clients)])
    return Sample(each, time.perf_counter() - began)


def show(name: str, clients: int, samples: Sequence[Sample], floor: Sequence[Sample]) -> None:
    """Print a line: medians over the rounds; the last column is the floor's over this one's."""
    p50 = statistics.median(statistics.median(sample.each_s) for sample in samples)
    p99 = statistics.median(statistics.quantiles(sample.each_s, n=100)[98] for sample in samples)
    rates = [len(sample.each_s) / sample.wall_s for sample in samples]
    own = [
        statistics.median(sample.each_s) - statistics.median(bare.each_s)
        for sample, bare in zip(samples, floor, strict=True)
    ]
    print(
        f"  {name:30}{clients:>8}{p50 * 1e3:>10.2f}{p99 * 1e3:>10.2f}"
        f"{statistics.median(rates):>12.0f} ({min(rates):.0f}-{max(rates):.0f})"
        f"{statistics.median(own) * 1e3:>12.2f}",
        flush=True,
    )


def main() -> None:
    """Measure every server in turn, round by round."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", choices=SERVERS)
    parser.add_argument("--port", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=1500)
    options = parser.parse_args()
    if options.server:
        run_server(options.server, options.port)
        return
    samples: dict[tuple[str, int], list[Sample]] = {}
    # One server at a time: four idle Rays would take a share of both cores.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for _ in range(options.rounds):
            for name in SERVERS:
                with TemporaryDirectory() as folder, server(name, Path(folder)) as url:
                    pool.apply(ask, (url, 8, options.requests // 4))
                    for clients in CLIENTS:
                        requests = options.requests // (3 if clients == 1 else 1)
                        sample = pool.apply(ask, (url, clients, requests))
                        samples.setdefault((name, clients), []).append(sample)
    print("bench_serve_cost: an engine that does nothing; medians over the rounds")
    print(
        f"  {'':30}{'clients':>8}{'p50 ms':>10}{'p99 ms':>10}{'requests/s':>24}{'p50 - bare':>12}"
    )
    for clients in CLIENTS:
        for name in SERVERS:
            show(name, clients, samples[name, clients], samples["bare uvicorn", clients])


if __name__ == "__main__":
    main()
