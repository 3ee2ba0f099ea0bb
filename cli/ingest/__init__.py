"""``cratesort ingest`` and ``retry``."""
