"""Training on Ray Train with DeepSpeed."""
