"""Tokenizers, and text as windows of tokens."""
