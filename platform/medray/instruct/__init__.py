"""Questions and instructions: schemas, readers, prompts."""
