"""Figures of answers to held-out sounds."""
