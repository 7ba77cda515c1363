"""Cleaning of texts: see ``step`` for the order, ``rules`` for the reasons and their limits."""

from medray.corpus.cleaning.rules import CleaningConfig, cleaning_reasons
from medray.corpus.cleaning.step import Cleaning, cleaning_fingerprint

__all__ = ["Cleaning", "CleaningConfig", "cleaning_fingerprint", "cleaning_reasons"]
