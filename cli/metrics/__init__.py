"""``cratesort metrics``."""
