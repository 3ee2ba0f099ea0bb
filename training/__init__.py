"""How a better model comes to be: sounds, splits, fits, figures, and one bundle at the end.

Knows no queue and draws no progress bar: it reports through a callback. Everything here needs the
``[training]`` extra except `training.errors`.
"""
