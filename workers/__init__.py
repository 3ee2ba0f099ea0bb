"""The process that does the work: settings, the Celery app, the life of a child, one batch.

The same functions run in a Celery child and, without a broker, in the calling process. What is not
here: what may be asked over the queue (`tasks`), what is remembered (`db`), what a sound is
(`classifier`).
"""
