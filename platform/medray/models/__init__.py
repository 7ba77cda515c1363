"""Making small models, loading and saving any Hugging Face folder."""
