"""Asking a model the items of a benchmark, through an endpoint or over Ray Data; resumable."""
