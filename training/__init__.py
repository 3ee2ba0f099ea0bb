"""Training: labelled sounds, splits, fits, evaluation, and a bundle at the end.

It knows no queue and draws no progress bar; it reports through a callback.
"""
