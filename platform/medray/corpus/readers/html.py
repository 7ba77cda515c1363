"""The main text of web pages, taken out by a child process that a hostile page may end."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from medray.corpus.documents import HTML_ERROR, INVALID_UTF8, NO_MAIN_TEXT, TOO_LARGE
from medray.corpus.inputs import CorpusInput, HtmlConfig
from medray.corpus.readers.charsets import decode_page
from medray.corpus.readers.rows import without_surrogates

PROGRAM = Path(__file__).with_name("html_process.py")
# As in the program, which is not imported: it loads what only the child needs.
LENGTH = struct.Struct(">I")
# Lines at a text's start among which its title is looked for: a date or a rubric may come first.
TITLE_LINES = 3


@dataclass(frozen=True)
class Page:
    """What a page holds: main text, canonical address, date (ISO 8601); empty where it tells none.

    ``text`` is None exactly where ``problem`` is given.
    """

    text: str | None
    url: str = ""
    date: str = ""
    problem: str | None = None


def page_reader(entry: CorpusInput) -> PageReader | None:
    """Return the reader of an input's HTML column, None where it holds text."""
    return None if entry.content == "text" else PageReader(entry)


class PageReader:
    """Reads pages as an input's configuration says."""

    def __init__(self, entry: CorpusInput) -> None:
        self._config, self._encoding = entry.html, entry.encoding
        self._extractor = _extractor(entry.html.model_dump_json())

    def __call__(self, content: bytes | str) -> Page:
        """Return what a page holds, or the problem with it; never raises for a page."""
        if len(content) > self._config.maximum_bytes:
            return Page(None, problem=TOO_LARGE)
        markup = content if isinstance(content, str) else decode_page(content, self._encoding)
        if markup is None:
            return Page(None, problem=INVALID_UTF8)
        found = self._extractor.extract(without_surrogates(markup).encode())
        if found is None or "error" in found:
            return Page(None, problem=HTML_ERROR)
        if found["text"] is None:
            return Page(None, problem=NO_MAIN_TEXT)
        text = with_title(found["text"], found["title"]) if self._config.title else found["text"]
        return Page(text, found["url"], found["date"])


def with_title(text: str, title: str) -> str:
    """Return a text with its title as the first line, unless a line near it begins so."""
    wanted = _comparable(title)
    first = [_comparable(line) for line in text.split("\n", TITLE_LINES)[:TITLE_LINES]]
    if not wanted or any(line.startswith(wanted) for line in first):
        return text
    return f"{' '.join(title.split())}\n{text}"


def _comparable(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


class Extractor:
    """A child process that takes pages apart; begun anew after a page that ended it."""

    def __init__(self, config: HtmlConfig) -> None:
        self._options = config.model_dump_json()
        self._process: subprocess.Popen[bytes] | None = None

    def extract(self, page: bytes) -> dict[str, Any] | None:
        """Return what the child says of a page in UTF-8; None where the page ended the child."""
        process = self._process = self._process or self._start()
        try:
            _send(process, page)
            answer = _receive(process)
        except BrokenPipeError:
            answer = None
        if answer is None:
            self.close()
            return None
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        """End the child, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        # -P: the program's own folder must not stand for modules of the same names.
        command = [sys.executable, "-P", str(PROGRAM), self._options]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        if _receive(process) is None:
            raise RuntimeError(f"{PROGRAM.name} does not start (exit {process.wait()})")
        return process


def _send(process: subprocess.Popen[bytes], message: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(LENGTH.pack(len(message)) + message)
    process.stdin.flush()


def _receive(process: subprocess.Popen[bytes]) -> bytes | None:
    """Return a message; None where the child ended instead."""
    assert process.stdout is not None
    head = process.stdout.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    size: int = LENGTH.unpack(head)[0]
    message = process.stdout.read(size)
    return message if len(message) == size else None


@lru_cache(maxsize=2)
def _extractor(config_json: str) -> Extractor:
    """Return this process's extractor of a configuration; one that leaves the cache ends."""
    return Extractor(HtmlConfig.model_validate_json(config_json))
