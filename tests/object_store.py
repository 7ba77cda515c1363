"""Object stores for tests, over real HTTP, behind a proxy that makes trouble.

S3 is moto's, Google Cloud Storage gcp-storage-emulator's.
"""

from __future__ import annotations

import http.client
import logging
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer

BUCKET = "corpus"
SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
INTERNAL_ERROR = SLOW_DOWN.replace(b"SlowDown", b"InternalError")


@dataclass
class Trouble:
    """What the proxy does to requests: shares of them, and what was done so far."""

    error_share: float = 0.0
    slow_down_share: float = 0.0
    delay_share: float = 0.0
    delay_s: float = 0.2
    spared_method: str = ""
    done: dict[str, int] = field(default_factory=lambda: {"requests": 0, "500": 0, "503": 0})
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def choose(self) -> str:
        with self.lock:
            self.done["requests"] += 1
            value, delay = self.chance.random(), self.chance.random()
            if value < self.error_share:
                self.done["500"] += 1
                return "500"
            if value < self.error_share + self.slow_down_share:
                self.done["503"] += 1
                return "503"
        if delay < self.delay_share:
            time.sleep(self.delay_s)
        return "pass"


def _handler(port: int, trouble: Trouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self._body()
            spared = self.command == trouble.spared_method
            choice = "pass" if spared else trouble.choose()
            if choice != "pass":
                answer = INTERNAL_ERROR if choice == "500" else SLOW_DOWN
                self._answer(int(choice), [("Content-Type", "application/xml")], answer)
                return
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {
                k: v
                for k, v in self.headers.items()
                if k.lower() not in ("transfer-encoding", "expect")
            } | {"Content-Length": str(len(body))}
            connection.request(self.command, self.path, body, headers)
            got = connection.getresponse()
            data = got.read()
            kept = [(k, v) for k, v in got.getheaders() if k.lower() not in _HOP_BY_HOP]
            self._answer(got.status, kept, data, got.getheader("Content-Length"))
            connection.close()

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(pieces)

        def _answer(
            self,
            status: int,
            headers: list[tuple[str, str]],
            data: bytes,
            length: str | None = None,
        ) -> None:
            self.send_response(status)
            for key, value in headers:
                self.send_header(key, value)
            # HEAD tells the length of what it does not send.
            told = length if self.command == "HEAD" and length else str(len(data))
            self.send_header("Content-Length", told)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    return Handler


_HOP_BY_HOP = {"content-length", "connection", "transfer-encoding", "date", "server"}


@contextmanager
def _proxy(port: int, trouble: Trouble) -> Iterator[int]:
    """Yield the port of a proxy before a server on this machine."""
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(port, trouble))
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy.server_address[1]
    finally:
        proxy.shutdown()


@contextmanager
def s3_server() -> Iterator[tuple[str, Trouble]]:
    """Yield (``s3://bucket``, trouble) with the environment set so that S3 means this server."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    trouble = Trouble()
    port = moto._server.socket.getsockname()[1]
    settings = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = {key: os.environ.get(key) for key in (*settings, "AWS_ENDPOINT_URL")}
    try:
        with _proxy(port, trouble) as proxy_port:
            os.environ.update(settings, AWS_ENDPOINT_URL=f"http://127.0.0.1:{proxy_port}")
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("PUT", f"/{BUCKET}")
            assert connection.getresponse().status == 200
            yield f"s3://{BUCKET}", trouble
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
        moto.stop()


@dataclass(frozen=True)
class GoogleStore:
    """A bucket of Google Cloud Storage that is read without credentials; its server's process."""

    port: int
    server: subprocess.Popen[str]

    def uri(self, path: str) -> str:
        """Return the address of a path, or of a pattern, in the bucket."""
        options = f"scheme=http&endpoint_override=127.0.0.1:{self.port}"
        return f"gs://anonymous@{BUCKET}/{path}?{options}"


@contextmanager
def google_server(error_share: float = 0.0) -> Iterator[GoogleStore]:
    """Yield an empty bucket of Google Cloud Storage that fails at a share of the requests.

    Uploads of content are spared: the emulator tells wrongly what it has of one broken off.
    It runs in a process of its own: pyarrow asks whether a file of this store is closed by a
    request, and holds the interpreter's lock all the while.
    """
    call = f"import object_store; object_store.serve_google({error_share})"
    server = subprocess.Popen(
        [sys.executable, "-c", call],
        cwd=Path(__file__).parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        yield GoogleStore(int(server.stdout.readline()), server)
    finally:
        server.kill()
        server.communicate()


def serve_google(error_share: float) -> None:
    """Serve a bucket until standard input ends, as it does with the parent; print the port."""
    logging.getLogger("gcp_storage_emulator").setLevel(logging.ERROR)
    trouble = Trouble(error_share / 2, error_share / 2, spared_method="PUT")
    with (
        create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET) as server,
        _proxy(server._api._httpd.server_address[1], trouble) as port,
    ):
        print(port, flush=True)
        sys.stdin.read()
