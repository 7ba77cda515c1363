"""The pages for a browser: each is one file and asks no other host for anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse

# The browser holds the pages to it, whatever a model writes into them.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page(name: str) -> HTMLResponse:
    """Return the page in file ``name`` beside this one."""
    return HTMLResponse(Path(__file__).with_name(name).read_text("utf-8"), headers=HEADERS)


def docs_page(document: dict[str, Any]) -> HTMLResponse:
    """Return the page that shows an OpenAPI document, which it holds itself."""
    text = Path(__file__).with_name("docs.html").read_text("utf-8")
    inside = json.dumps(document).replace("<", "\\u003c")  # no "</script>" can end it
    return HTMLResponse(text.replace("OPENAPI_DOCUMENT", inside), headers=HEADERS)
