"""Fit the stacked model and calibrate it."""
