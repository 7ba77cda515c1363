"""The program in which pages are taken apart, apart from the worker that wants their text.

A hostile page can keep a parser busy for hours, take all memory or end its process: 200,000
attributes in one tag do the first. So the worker runs this file as a child, which a page may cost
its life. It imports nothing of medray, so that it starts fast and stays small.

Protocol, over standard input and output, each message a length (4 bytes, big-endian) and that
many bytes: the child says b"" once it is ready; then a page in UTF-8 is answered by JSON.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import struct
import sys
from typing import Any, BinaryIO

import lxml.etree
import trafilatura

LENGTH = struct.Struct(">I")
# What a page of 10 MiB takes with room to spare (measured: 0.9 GiB for 500,000 <br>).
MEMORY_BYTES = 2 * 2**30
# htmldate's own limit is the day on which it runs: the same page would then be dated otherwise
# by another run.
LATEST_DATE = "2099-12-31"
# What trafilatura and the parsers under it raise on broken pages.
FAILURES = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RecursionError,
    TypeError, ValueError, lxml.etree.LxmlError,
)  # fmt: skip


def extract(page: str, options: dict[str, Any]) -> dict[str, str | None]:
    """Return {text, title, url, date} of a page; text None where there is no main text."""
    favour = options["favour"]
    found: Any = trafilatura.bare_extraction(
        page,
        favor_recall=favour == "recall",
        favor_precision=favour == "precision",
        include_comments=options["comments"],
        include_tables=options["tables"],
        with_metadata=True,
        date_extraction_params={"extensive_search": True, "max_date": LATEST_DATE},
    )
    if found is None or not (found.text or "").strip():
        return {"text": None}
    comments = f"\n{found.comments}" if options["comments"] and found.comments else ""
    return {
        "text": _valid(found.text + comments),
        "title": _valid(found.title),
        "url": _valid(found.url),
        "date": _valid(found.date),
    }


def _valid(text: str | None) -> str:
    """Return a text with U+FFFD for lone surrogates, which character references can make."""
    raw = (text or "").encode("utf-16-le", "surrogatepass")
    return raw.decode("utf-16-le", "replace")


def _receive(source: BinaryIO) -> bytes | None:
    head = source.read(LENGTH.size)
    return source.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def _send(target: BinaryIO, message: bytes) -> None:
    target.write(LENGTH.pack(len(message)) + message)
    target.flush()


def _limit_memory() -> None:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - no module for one line
        used_bytes = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used_bytes + MEMORY_BYTES,) * 2)


def main() -> None:
    options = json.loads(sys.argv[1])
    logging.disable(logging.CRITICAL)  # what a page holds is not for logs
    _limit_memory()
    _send(sys.stdout.buffer, b"")
    while (page := _receive(sys.stdin.buffer)) is not None:
        # CPU seconds, not seconds on the clock: a busy machine must not change a corpus. The
        # signal's default action ends the process, even inside a parser's C code.
        signal.setitimer(signal.ITIMER_PROF, options["cpu_limit_s"])
        try:
            answer: dict[str, Any] = extract(page.decode(), options)
        except FAILURES as error:
            answer = {"error": type(error).__name__}
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send(sys.stdout.buffer, json.dumps(answer).encode())


if __name__ == "__main__":
    main()
