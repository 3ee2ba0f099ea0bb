"""Workers classify one batch of the ledger at a time, in Celery children or in this process."""
