"""Searching for good settings with Ray Tune."""
