"""Opening the filesystem behind a URI, with retries that outlast an object store's bad minutes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from medray.errors import InputError

# S3 answers 500 and 503 "slow down" in bursts. Ten attempts with the SDK's growing pauses span
# about a minute; its default of three gives up after a second.
S3_ATTEMPTS = 10
S3_CONNECT_TIMEOUT_S = 10.0
S3_REQUEST_TIMEOUT_S = 60.0
S3_OPTIONS = ("region", "scheme", "endpoint_override")
# Google's client tries again by itself, whatever a request was for; left alone, for 15 minutes.
GOOGLE_RETRY_S = 120
GOOGLE_OPTIONS = ("scheme", "endpoint_override")
ANONYMOUS = "anonymous@"
_OPTIONS = re.compile(r"\?\w+=[^*\[]*$")


def split_options(uri: str) -> tuple[str, str]:
    """Return a URI, or a pattern of one, and its options: ``?region=...`` at its end, or "".

    So a ``?`` that no ``name=`` follows stays a wildcard.
    """
    found = _OPTIONS.search(uri)
    return (uri[: found.start()], found[0]) if found else (uri, "")


def open_filesystem(uri: str) -> tuple[pafs.FileSystem, str]:
    """Return (filesystem, path in it) of ``s3://``, ``gs://``, ``hf://`` and ``file://`` URIs.

    S3: credentials, region and endpoint come from the environment (AWS_ACCESS_KEY_ID, AWS_REGION,
    AWS_ENDPOINT_URL, ...); ``?region=``, ``?scheme=`` and ``?endpoint_override=`` in the URI go
    before it. Google: credentials come from the environment (GOOGLE_APPLICATION_CREDENTIALS) or
    the machine; ``gs://anonymous@bucket/...`` takes none, for a public bucket; ``?scheme=`` and
    ``?endpoint_override=`` name another server. ``hf://datasets/NAME/...`` reads the Hugging Face
    hub, its token from HF_TOKEN.
    A scheme that nothing here serves, or a secret in a URI, is an InputError.
    """
    # A key may hold "#", which begins a fragment elsewhere.
    parts = urlsplit(uri, allow_fragments=False)
    is_google = parts.scheme in ("gs", "gcs")
    is_anonymous = is_google and parts.netloc.startswith(ANONYMOUS)
    if (parts.username or parts.password) and not is_anonymous:
        raise InputError(
            f"{parts.scheme}://{parts.hostname}{parts.path}: no secret belongs in a URI, which is "
            "written to manifests; give it by the environment"
        )
    if parts.scheme == "s3":
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        filesystem = _s3(parts.query, endpoint)
        return filesystem, f"{parts.netloc}{parts.path}".rstrip("/")
    if is_google:
        bucket = parts.netloc.removeprefix(ANONYMOUS)
        return _google(parts.query, is_anonymous), f"{bucket}{parts.path}".rstrip("/")
    if parts.scheme == "hf":
        return _hugging_face(), f"{parts.netloc}{parts.path}".rstrip("/")
    try:
        filesystem, path = pafs.FileSystem.from_uri(uri)
    except pa.ArrowInvalid as error:
        raise InputError(
            f"{uri} is no place that can be read: use a path, s3://, gs:// or hf://datasets/..."
        ) from error
    return filesystem, path


@cache
def _s3(query: str, endpoint: str | None) -> pafs.S3FileSystem:
    options = _options("s3", query, S3_OPTIONS)
    if endpoint and "endpoint_override" not in options:
        options["endpoint_override"] = endpoint
    return pafs.S3FileSystem(
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=S3_ATTEMPTS),
        connect_timeout=S3_CONNECT_TIMEOUT_S,
        request_timeout=S3_REQUEST_TIMEOUT_S,
        allow_delayed_open=True,  # a small file is one PUT, not a multipart upload of three
        **options,
    )


@cache
def _google(query: str, is_anonymous: bool) -> pafs.GcsFileSystem:
    return pafs.GcsFileSystem(
        anonymous=is_anonymous,
        retry_time_limit=timedelta(seconds=GOOGLE_RETRY_S),
        **_options("gs", query, GOOGLE_OPTIONS),
    )


def _options(scheme: str, query: str, known: Sequence[str]) -> dict[str, str]:
    options = dict(parse_qsl(query))
    if unknown := sorted(options.keys() - set(known)):
        # Its value may be a secret.
        raise InputError(
            f"{scheme}://...?{unknown[0]}=...: no such option; use {', '.join(known)}, and the "
            "environment for secrets"
        )
    return options


@cache
def _hugging_face() -> pafs.FileSystem:
    from huggingface_hub import HfFileSystem

    return pafs.PyFileSystem(pafs.FSSpecHandler(HfFileSystem()))
