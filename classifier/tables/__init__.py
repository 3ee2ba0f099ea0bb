"""Readers of CSV tables, shared by all commands."""
