"""What a request binds its text to, as the engine takes it."""

from __future__ import annotations

import json
from typing import Any

from serving.engine import Guide
from serving.protocol import GuidedRequest, RequestError

ANY_OBJECT: dict[str, Any] = {"type": "object"}


def guide_of(request: GuidedRequest) -> Guide | None:
    """Return what the text must match; None: anything. ``RequestError`` for a bottomless schema."""
    outputs, form = request.structured_outputs, request.response_format
    choice = request.guided_choice or (outputs and outputs.choice)
    if choice:
        return Guide("choice", tuple(choice))
    regex = request.guided_regex or (outputs and outputs.regex)
    if regex:
        return Guide("regex", regex)
    schemas = [request.guided_json, outputs and outputs.json_]
    if form is not None and form.type == "json_schema":
        schemas.append(form.json_schema.schema_)
    schema = next((schema for schema in schemas if schema is not None), None)
    if schema is None:
        if not request.guide_fields:
            return None
        schema = ANY_OBJECT  # json_object, in either form
    try:
        return Guide("json_schema", schema if isinstance(schema, str) else json.dumps(schema))
    except RecursionError:
        raise RequestError("the schema is nested too deeply", request.guide_fields[0]) from None
