"""Parameters that OpenAI's API has and this endpoint has not: refused by name, with the reason."""

from __future__ import annotations

_NO_TOOLS = "the model calls no tools and no functions"
_TEXT_ONLY = "the model reads and writes text only"
_NO_STORE = "nothing is kept after the answer"

NOT_SUPPORTED = {
    "audio": _TEXT_ONLY,
    "dimensions": "a vector has the model's hidden size",
    "function_call": _NO_TOOLS,
    "functions": _NO_TOOLS,
    "grammar": "text is bound by choice, json or regex",
    "image_url": _TEXT_ONLY,
    "input_audio": _TEXT_ONLY,
    "metadata": _NO_STORE,
    "name": "chat templates have no place for names",
    "parallel_tool_calls": _NO_TOOLS,
    "prediction": "no text is predicted by the client",
    "reasoning_effort": "the model writes no hidden reasoning",
    "service_tier": "there is one",
    "tool_call_id": _NO_TOOLS,
    "tool_calls": _NO_TOOLS,
    "tools": _NO_TOOLS,
    "verbosity": "say it in a message",
    "web_search_options": "the model searches nothing",
}
