"""What a person reads of a corpus: numbers, charts, the page, the audit."""
