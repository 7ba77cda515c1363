"""The tables that documents travel in through the curate job."""

from __future__ import annotations

import pyarrow as pa

# What a reader yields: one row for every row (line, page, file) of the input. ``problem`` says
# why a row holds no text that can be judged; its ``text`` is then null.
READ_COLUMNS = pa.schema(
    [
        ("document_id", pa.string()),
        ("text", pa.string()),
        ("url", pa.string()),
        ("timestamp", pa.string()),
        ("source", pa.string()),
        ("problem", pa.string()),
    ]
)
INVALID_UTF8, MALFORMED, NO_TEXT = "invalid_utf8", "malformed", "no_text"
# A document beyond what a worker's memory is planned for.
TOO_LARGE = "too_large"
# A page in which no main text was found; one that the extractor failed on or was stopped at.
NO_MAIN_TEXT, HTML_ERROR = "no_main_text", "html_error"
READ_PROBLEMS = (INVALID_UTF8, MALFORMED, NO_TEXT, TOO_LARGE, NO_MAIN_TEXT, HTML_ERROR)

# A document that is still in the corpus.
DOCUMENT_COLUMNS = pa.schema([f for f in READ_COLUMNS if f.name != "problem"])

# The reason of a document that no step sent away, and of one that balancing gives no copy.
KEPT = "kept"
BALANCED_OUT = "balanced_out"

# Stretches of a text that tags replaced: characters [start, end) of the text before.
SPANS_TYPE = pa.list_(
    pa.struct([("kind", pa.string()), ("start", pa.int32()), ("end", pa.int32())])
)

# The final table: one row for every row of the input, scores null where a step did not see it.
DECISIONS = pa.schema(
    [
        ("document_id", pa.string()),
        ("language", pa.string()),
        ("source", pa.string()),
        ("url", pa.string()),
        ("text_hash", pa.binary(16)),  # XXH3 of the text as it was read
        ("keep", pa.bool_()),
        ("step", pa.string()),  # that sent the document away, null where none did
        ("reason", pa.string()),
        ("copies", pa.int32()),
        # the medical filter
        ("keyword_count", pa.int32()),
        ("density", pa.float32()),
        ("characters", pa.int64()),
        ("keywords", pa.list_(pa.uint16())),  # numbers in the language's list
        # language and cleaning
        ("detected_language", pa.string()),
        ("language_confidence", pa.float32()),
        ("cleaned_characters", pa.int64()),
        ("removed_lines", pa.int32()),
        # duplicates
        ("retained_id", pa.string()),
        ("jaccard", pa.float32()),
        # benchmarks
        ("benchmark_item", pa.string()),
        ("contaminated_share", pa.float32()),
        ("removed_paragraphs", pa.int32()),
        # de-identification
        ("deidentified", pa.int32()),
        ("spans", SPANS_TYPE),
    ]
)
