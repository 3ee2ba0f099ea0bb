"""Counts and rates computed from the tables, for commands and for Prometheus."""
