"""Celery as this project uses it: app, transport, messages, dispatch."""
