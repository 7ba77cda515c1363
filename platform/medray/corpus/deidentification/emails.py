"""E-mail addresses, found from their "@" outwards."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from medray.corpus.deidentification.page import Page
from medray.corpus.deidentification.spans import Span

# RFC 5321: at most 64 characters before the "@"; of RFC 5322's signs those that people use.
_LOCAL_CHARACTERS = string.ascii_letters + string.digits + "._%+-'"
_LONGEST_LOCAL = 64
_DOMAIN = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,6}[A-Za-z]{2,24}(?![A-Za-z0-9])")
_CYRILLIC_DOMAIN = re.compile(r"(?:[А-Яа-яЁё0-9-]{1,63}\.){1,6}(?:рф|РФ|рус)(?!\w)")


def email_around(page: Page, start: int, end: int) -> Iterator[Span]:
    """Yield the address around an "@" at ``start``."""
    before = page.text[max(0, start - _LONGEST_LOCAL) : start]
    local = before[len(before.rstrip(_LOCAL_CHARACTERS)) :].lstrip("._%+-'")
    if not local:
        return
    domain = _DOMAIN.match(page.text, end) or _CYRILLIC_DOMAIN.match(page.text, end)
    if domain:
        yield Span("EMAIL", start - len(local), domain.end())
