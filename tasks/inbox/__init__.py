"""Paths that other programs push to Redis."""
