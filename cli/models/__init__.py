"""``cratesort models``, ``train``, ``study``, ``predict`` and ``explain``."""
