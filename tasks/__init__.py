"""The Celery tasks, and the producers that write work to the ledger.

Task functions are thin and have explicit names.
"""
