"""What may be asked from a terminal. Every command imports what it needs when it runs.

What is not here: the work itself (`tasks`, `workers`, `training`, `db`).
"""
