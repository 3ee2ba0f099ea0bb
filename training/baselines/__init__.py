"""Baseline systems that ours is compared with."""
