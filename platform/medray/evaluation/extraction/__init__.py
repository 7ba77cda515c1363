"""Generated text to answers, by rules that have names; what no rule can read is counted."""

from medray.evaluation.extraction.letters import Extracted, extract

__all__ = ["Extracted", "extract"]
