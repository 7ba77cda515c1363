"""Whether a document is medical: keyword lists, their matching, the filter."""
