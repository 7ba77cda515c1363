"""Judging free answers: by a model in two orders, by doctors on blinded sheets, and agreement."""
