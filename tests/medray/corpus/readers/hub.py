"""A Hugging Face hub of one data set on this machine: as much of its HTTP interface as is used."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """The files of ``datasets/NAME`` by path, and how many bytes of them were sent."""

    name: str
    files: dict[str, bytes]
    url: str = ""
    sent_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def tree(self, folder: str) -> list[dict[str, object]]:
        """Return what lies directly in a folder, as the hub tells it."""
        prefix = f"{folder}/" if folder else ""
        inner = sorted(path for path in self.files if path.startswith(prefix))
        found: dict[str, dict[str, object]] = {}
        for path in inner:
            head, slash, _ = path.removeprefix(prefix).partition("/")
            kind = {"type": "directory", "size": 0} if slash else {"type": "file"}
            size = {} if slash else {"size": len(self.files[path])}
            found[head] = {"path": prefix + head, "oid": COMMIT} | kind | size
        return list(found.values())


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            api, files = f"/api/datasets/{hub.name}", f"/datasets/{hub.name}/resolve/main/"
            if path.startswith(files) and path.removeprefix(files) in hub.files:
                self._send_range(hub.files[path.removeprefix(files)])
            elif path.startswith(f"{api}/tree/main"):
                self._send_json(hub.tree(path.removeprefix(f"{api}/tree/main").strip("/")))
            elif path in (api, f"{api}/revision/main"):
                self._send_json({"id": hub.name, "sha": COMMIT, "siblings": []})
            else:
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

        def _send_json(self, value: object) -> None:
            self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def _send_range(self, data: bytes) -> None:
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            piece = data[int(first) : int(last) + 1]
            with hub.lock:
                hub.sent_bytes += len(piece)
            self._send(206, piece, {"Content-Range": f"bytes {first}-{last}/{len(data)}"})

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve a hub and yield it with its ``url`` set."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
