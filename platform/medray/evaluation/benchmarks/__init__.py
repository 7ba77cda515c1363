"""Benchmarks by declaration: what they ask, where their data is, how an answer is scored."""
