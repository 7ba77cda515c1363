"""medray: from raw multilingual text to a served, benchmarked medical language model, on Ray."""

__version__ = "0.1.0"
