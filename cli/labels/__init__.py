"""``cratesort labels``."""
