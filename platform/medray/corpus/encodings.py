"""Which names of encodings mean one that text can be in."""

from __future__ import annotations

import codecs

# Python's own notations, not encodings of text files.
_NOTATIONS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}


def find_encoding(name: str) -> str | None:
    """Return Python's name of a text encoding, None where there is none of that name."""
    try:
        found = codecs.lookup(name).name
        # An empty text would be decoded by anything; base64 and the like are refused here.
        b"text".decode(found, "replace")
    except (LookupError, UnicodeError):
        return None
    return None if found.replace("_", "-") in _NOTATIONS else found
