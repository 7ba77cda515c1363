"""API keys: made here, kept as salted hashes under names, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

# The name of the one key that an environment variable holds.
ENVIRONMENT_KEY = "environment"
KEY_PREFIX = "medray-"


class Quota(BaseModel):
    """What one key may ask for, over all replicas; None: as much as it likes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_minute: int | None = Field(
        default=None, ge=1, description="requests taken in any 60 s"
    )
    tokens_per_day: int | None = Field(
        default=None,
        ge=1,
        description="tokens read, generated and scored between two midnights, UTC; the request "
        "that passes the mark is still answered",
    )
    concurrent_requests: int | None = Field(default=None, ge=1, description="requests at once")

    @property
    def limits(self) -> bool:
        """Say whether anything has to be counted."""
        return self != Quota()


class Key(Quota):
    """A key's name and its HMAC-SHA-256 under a salt of its own, both in hexadecimal digits.

    A key is 32 random bytes: nobody guesses it, so a hash made slow on purpose would only slow
    every request down.
    """

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,64}$", description="stands in the access log")]
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32,}$")]
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @classmethod
    def of(cls, name: str, key: str) -> Self:
        """Return what is kept of ``key``. Raises ``ValidationError`` on an unfit name."""
        salt = secrets.token_bytes(16)
        return cls(name=name, salt=salt.hex(), hash=_digest(salt, key).hex())

    @property
    def quota(self) -> Quota:
        return Quota.model_validate({name: getattr(self, name) for name in Quota.model_fields})


class _KeysFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[Key] = Field(min_length=1)


@dataclass(frozen=True)
class Keys:
    """Knows whose key a key is, without knowing any.

    This, not the keys, travels to the replicas: arguments of Serve applications are stored in Ray.
    """

    keys: tuple[Key, ...]

    def name_of(self, key: str) -> str | None:
        """Return the name that ``key`` has, or None; takes as long whichever it is."""
        found: str | None = None
        for known in self.keys:
            digest = _digest(bytes.fromhex(known.salt), key)
            if hmac.compare_digest(digest, bytes.fromhex(known.hash)):
                found = known.name
        return found

    @property
    def quotas(self) -> dict[str, Quota]:
        """Return the quotas by name, of those keys that have any."""
        return {key.name: key.quota for key in self.keys if key.quota.limits}


def _digest(salt: bytes, key: str) -> bytes:
    return hmac.new(salt, key.encode(), hashlib.sha256).digest()


def new_key(name: str) -> tuple[str, str]:
    """Make a key; return it, and the entry of a keys file, which does not tell it."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    kept = Key.of(name, key)
    entry = yaml.safe_dump([kept.model_dump(include={"name", "salt", "hash"})], sort_keys=False)
    return key, "keys:\n" + "".join(f"  {line}\n" for line in entry.splitlines())


def read_keys_file(path: Path) -> list[Key]:
    """Read a keys file. Raises ``ValueError``, one line that repeats nothing of a wrong value."""
    try:
        read = _KeysFile.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}" if mark else ""
        raise ValueError(f"keys_file {path}{place}: not YAML") from None
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ValueError(f"keys_file {path}: {where or 'file'}: {fault['msg']}") from None
    return read.keys


def gather_keys(host: str, environment: str, keys_file: Path | None) -> Keys | None:
    """Return the keys that an endpoint on ``host`` demands; None: it is open.

    Raises ``ValueError`` for a listener beyond loopback without a key, for a keys file that is
    wrong, for a name given twice; ``FileNotFoundError`` where there is no keys file.
    """
    keys = [] if keys_file is None else read_keys_file(keys_file)
    if key := os.environ.get(environment, ""):
        keys.append(Key.of(ENVIRONMENT_KEY, key))
    _check_names(keys)
    if not keys and not is_loopback(host):
        raise ValueError(
            f"host {host} is reachable from other machines and {environment} is not set: "
            f"set it to a key that clients must send, name a keys_file, or listen on 127.0.0.1"
        )
    return Keys(tuple(keys)) if keys else None


def _check_names(keys: Sequence[Key]) -> None:
    names = [key.name for key in keys]
    for name in names:
        if names.count(name) > 1:
            kind = "the variable's key has it" if name == ENVIRONMENT_KEY else "two keys have it"
            raise ValueError(f"keys_file: name {name!r} is taken: {kind}")


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches ``host``; an unknown name counts as reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
