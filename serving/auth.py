"""The API key: read from the environment, kept as a salted hash, checked before anything else."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
from dataclasses import dataclass
from typing import Self

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.protocol import error_body

OPEN_PATHS = frozenset({"/health"})


@dataclass(frozen=True)
class KeyVerifier:
    """Knows whether a key is the right one, without knowing the key (HMAC-SHA-256, random salt).

    This, not the key, travels to the replicas: arguments of Serve applications are stored in Ray.
    """

    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, key: str) -> Self:
        salt = secrets.token_bytes(16)
        return cls(salt, _digest(salt, key))

    @classmethod
    def from_environment(cls, name: str) -> Self | None:
        """Return the verifier of the key in variable ``name``; None where it is unset or empty."""
        key = os.environ.get(name, "")
        return cls.of(key) if key else None

    def accepts(self, key: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(_digest(self.salt, key), self.digest)


def _digest(salt: bytes, key: str) -> bytes:
    return hmac.new(salt, key.encode(), hashlib.sha256).digest()


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches ``host``; an unknown name counts as reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def verifier_for(host: str, environment: str) -> KeyVerifier | None:
    """Return the verifier that a listener on ``host`` uses; None: the endpoint is open.

    Raises ``ValueError`` for a listener beyond loopback without a key.
    """
    verifier = KeyVerifier.from_environment(environment)
    if verifier is None and not is_loopback(host):
        raise ValueError(
            f"host {host} is reachable from other machines and {environment} is not set: "
            f"set it to a key that clients must send, or listen on 127.0.0.1"
        )
    return verifier


class RequireKey:
    """ASGI middleware: 401 without the right bearer key, before the body is read."""

    def __init__(self, app: ASGIApp, verifier: KeyVerifier) -> None:
        self._app = app
        self._verifier = verifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._open(scope) or self._accepted(scope):
            await self._app(scope, receive, send)
            return
        body = error_body(
            "no valid API key: send it as 'Authorization: Bearer KEY'", 401, code="invalid_api_key"
        )
        headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": body.model_dump_json().encode()})

    def _open(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return path.removeprefix(scope.get("root_path", "")) in OPEN_PATHS

    def _accepted(self, scope: Scope) -> bool:
        sent: bytes = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, key = sent.decode(errors="replace").partition(" ")
        return scheme.lower() == "bearer" and self._verifier.accepts(key.strip())
