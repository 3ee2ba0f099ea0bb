"""``cratesort worker``, ``beat``, ``intake``, ``flower`` and ``db``."""
