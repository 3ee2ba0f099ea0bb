"""Training: reads labelled sounds, fits and evaluates models, and publishes a model bundle.

It depends on no queue and draws no progress bar; progress is reported through a callback.
"""
