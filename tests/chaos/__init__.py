"""A fleet at work while faults are drawn at random: ``make chaos SECONDS=60 SEED=1``.

Two workers and two beats on a Redis and a PostgreSQL (or SQLite) of their own, some thousand real
small files, and about one fault a second: something is killed, frozen, filled, emptied, forged or
duplicated; storage fails, a network link hangs or is slow; users move, rename, delete, label and
reclassify files. When the time is up all faults end, and the whole library is ingested once more.
When all batches are done, the database is checked: every existing file has exactly one row, and the
right one; every other row is marked as gone; labels are where their files are.

Here: `faults` (what a fault is, and the order), `kinds` (what may happen), `world`, `conditions`
and `mounts` (what it happens to), `library`, `ingests` and `errands` (the work), `invariant` and
`history` (what must hold), `report` (what is printed). Not here: one test for each fault
(`tests.faults`), which shows more when a single mechanism is broken.
"""
