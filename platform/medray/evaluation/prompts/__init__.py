"""How items are put to a model: named forms, shots, and what may be cut where a prompt is long."""
