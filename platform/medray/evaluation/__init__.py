"""Measuring a served model: client, scoring, answer extraction, metrics, report."""
