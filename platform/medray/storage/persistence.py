"""Trying again where an object store failed in a way that its client does not try again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

# Arrow hands the SDK a buffer of just the bytes that it asked for. Where the store's error answer
# (about 300 bytes of XML) is longer than that, as with footers and small columns, the SDK calls
# it "Failed to flush response stream" and gives up at the first 500 or 503.
ATTEMPTS = 6
FIRST_PAUSE_S = 0.5
# What these stores' errors hold.
AMAZON, GOOGLE = "AWS Error", "google::cloud::Status"

Result = TypeVar("Result")


def is_from_store(error: Exception) -> bool:
    """Say whether an object store failed: what was asked for may be whole.

    Arrow gives an OSError for that and for a broken page alike; the stores' name themselves.
    """
    if not isinstance(error, OSError) or isinstance(error, FileNotFoundError):
        return False
    return any(name in str(error) for name in (AMAZON, GOOGLE))


def persist(work: Callable[[], Result]) -> Result:
    """Return what ``work`` returns; where S3 fails, do it again, six times in all.

    Pauses double from half a second, up to 15 s together, each drawn from 50 to 150 % so that
    many workers do not come back at once. ``work`` must give the same when it is done twice.
    """
    for attempt in range(ATTEMPTS - 1):
        try:
            return work()
        except OSError as error:
            if AMAZON not in str(error):  # Google's client has itself tried long enough
                raise
            time.sleep(FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.5))
    return work()
