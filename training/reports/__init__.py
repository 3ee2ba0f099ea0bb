"""Figures and HTML pages of reports."""
