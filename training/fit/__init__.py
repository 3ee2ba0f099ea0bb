"""Fitting the stack and calibrating it."""
