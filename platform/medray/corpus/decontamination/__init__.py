"""Keeping the corpus clean of every benchmark that models are measured on."""

from __future__ import annotations

from medray.corpus.decontamination.config import DecontaminateConfig
from medray.corpus.decontamination.step import Decontamination

__all__ = ["DecontaminateConfig", "Decontamination"]
