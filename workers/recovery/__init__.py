"""What happens after a worker dies, until all its files have rows; module by module.

1. `crash_marker`: a child records which file it is reading, in memory that outlives it.
2. `bootsteps` start the `supervisor` beside a worker. It notices a dead child, and reports whether
   the database answers (`shared_health`).
3. `crash_recovery` reads a dead child's marker and returns its batch; the file that was being read
   gets a batch of its own. Batches of dead hosts come back in `ledger_sweep`, when their
   leases expire (`expired_leases`): whole the first time, then in halves.
4. `failure_policy` decides what happens to a batch that was not finished, and carries it out. The
   number of solo tries is `db.queue.recovery.SOLO_ATTEMPTS`; then the file gets an error row.
5. `isolated_read`: without workers, a suspected file is first read in a process of its own.
"""
