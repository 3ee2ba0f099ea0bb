"""The systems ours is compared with."""
