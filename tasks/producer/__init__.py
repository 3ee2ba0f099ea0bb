"""Turns paths into batches in the ledger. Other programs call `submit`."""

from tasks.producer.submission import submit

__all__ = ["submit"]
