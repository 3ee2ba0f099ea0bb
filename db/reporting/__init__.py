"""Figures of the tables, for people and for Prometheus."""
