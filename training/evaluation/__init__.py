"""Evaluation of predictions for held-out sounds."""
