"""A fleet at work while faults are drawn at random: ``make chaos SECONDS=60 SEED=1``.

Two workers and two beats on a Redis and a PostgreSQL of their own, some thousand real small files,
and every second or so a fault: something is killed, frozen, filled, emptied, forged or doubled.
When the time is up everything is put right, and once nothing is open the database is asked whether
the promise held: every file that was handed in has exactly one row, and the right one.

Here: `faults` (what may happen), `world` (what it happens to), `library` and `handing_in` (the
work), `invariant` and `history` (what must hold), `report` (what is printed). Not here: one test
for each fault (`tests.faults`), which says more when a single mechanism is broken.
"""
