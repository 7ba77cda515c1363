"""Answer files to scores: how outputs are read, what is measured, two models compared."""
