"""Decoding a web page's bytes: what browsers do, but what is valid UTF-8 is UTF-8."""

from __future__ import annotations

import codecs
import re

from charset_normalizer import from_bytes

from medray.corpus.encodings import find_encoding

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# The standard (https://encoding.spec.whatwg.org/#names-and-labels) reads these labels as their
# supersets, because pages mean those.
_MEANT = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "tis-620": "cp874",
}
# The standard's prescan looks at 1024 bytes; pages with long scripts first are common.
DECLARATION_BYTES = 4096
_DECLARED = re.compile(rb"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""", re.IGNORECASE)
# Share of bytes that may be wrong in a page that says what it is: a character cut in two by a
# template, a comment pasted from elsewhere.
WRONG_SHARE = 0.001
# Guessing a charset reads every byte many times.
GUESSED_BYTES = 64 * 2**10


def decode_page(content: bytes, encoding: str | None = None) -> str | None:
    """Return a page's text, or None where no encoding fits.

    In order: ``encoding`` where the recipe names it, a byte order mark, UTF-8 where all is valid,
    what the page declares, UTF-8 with 1 byte in 1,000 wrong, and a guess (charset_normalizer).
    Wrong bytes become U+FFFD.
    """
    if encoding is not None:
        return _nearly(content, encoding)
    for mark, marked in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return _nearly(content, marked)
    try:
        return content.decode()
    except UnicodeDecodeError:
        pass
    for name in (declared_encoding(content), "utf-8"):
        text = _nearly(content, name) if name else None
        if text is not None:
            return text
    if b"\x00" in content:
        return None  # pictures and archives under a page's name
    best = from_bytes(content[:GUESSED_BYTES]).best()
    return None if best is None else _nearly(content, best.encoding)


def declared_encoding(content: bytes) -> str | None:
    """Return Python's name of the charset that a page declares in its head; None: none known."""
    found = _DECLARED.search(content, 0, DECLARATION_BYTES)
    if found is None:
        return None
    name = find_encoding(found[1].decode("ascii"))
    if name is None:
        return None
    # A page whose first bytes could be read as a declaration is not in UTF-16, whatever it says.
    return "utf-8" if name.startswith("utf-16") else _MEANT.get(name, name)


def _nearly(content: bytes, encoding: str) -> str | None:
    """Decode, but for a few wrong bytes; None where more are wrong."""
    text = content.decode(encoding, "replace")
    wrong = text.count("\ufffd") - content.count("\ufffd".encode())
    return text if wrong <= max(3, WRONG_SHARE * len(content)) else None
