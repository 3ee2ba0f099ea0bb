"""Stored models, and the training runs that made them."""
