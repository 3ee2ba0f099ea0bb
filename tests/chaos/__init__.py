"""A fleet at work while faults are drawn at random: ``make chaos SECONDS=60 SEED=1``.

Two workers and two beats on a Redis and a PostgreSQL (or SQLite) of their own, some thousand real
small files, and every second or so a fault: something is killed, frozen, filled, emptied, forged or
doubled; storage fails, a way to a server hangs or is slow; and people move, rename, delete, label
and classify again. When the time is up everything is put right, and the whole library is walked
once more. When all batches are done, the database is checked: every existing file has exactly one
row, and the right one; every other row is marked as gone; labels are where their files are.

Here: `faults` (what a fault is, and the order), `kinds` (what may happen), `world`, `conditions`
and `mounts` (what it happens to), `library`, `handing_in` and `errands` (the work), `invariant` and
`history` (what must hold), `report` (what is printed). Not here: one test for each fault
(`tests.faults`), which show more when a single mechanism is broken.
"""
