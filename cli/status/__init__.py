"""``cratesort status``, ``health`` and ``doctor``."""
