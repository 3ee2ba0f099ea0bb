"""Labelled sounds: read, grouped by pack, split."""
