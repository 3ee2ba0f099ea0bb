"""Workers: one batch of the ledger at a time, in Celery children or in the calling process."""
