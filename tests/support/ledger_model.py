"""What the ledger promises, as plain Python: its rows after each commit, and how much work is left.

Here: the model that the property tests hold both databases against, and the steps a worker and a
sweeper take in one transaction. Not here: in which order they are taken.
"""

from collections import Counter
from dataclasses import dataclass, fields, replace

from sqlalchemy import select, text, update

from classifier.categories import N_CATEGORIES
from classifier.errors import ErrorCode
from db.engine import reading
from db.queue import ledger, recovery
from db.queue.batch import BatchEntry, ClaimedBatch, claimed_entries
from db.queue.recovery import SOLO_ATTEMPTS, SPLIT_AFTER_ATTEMPTS, AttemptOutcome
from db.results import sounds
from db.results.sounds import Failure, Prediction, SoundResult
from db.states import BatchState
from db.tables import batches
from db.tables import sounds as sounds_table

PENDING, QUEUED, RUNNING, DONE = BatchState
IN_FLIGHT = (QUEUED, RUNNING)
ROOT = "library"


@dataclass(frozen=True)
class Row:
    """One batch, as everybody sees it after a commit."""

    ingest_id: int
    paths: tuple[str, ...]
    state: BatchState = PENDING
    attempts: int = 0
    token: str | None = None
    worker: str | None = None
    outcome: tuple[int, int] | None = None
    suspect: bool = False
    was_claimed: bool = False


class Model:
    """The ledger's rows, and what each step may make of them."""

    def __init__(self, rows):
        self.rows = dict(rows)
        self.unborn = []
        self.expired = set()
        self.past_window = set()
        self.given_up = set()
        #: Of done batches, whose rows here keep none: `close` hands none over.
        self.done_paths = Counter()
        self.attempts_alone = Counter()

    def holds(self, batch_id, token):
        row = self.rows[batch_id]
        return row.state is RUNNING and row.token == token

    def _change(self, batch_id, **values):
        self.rows[batch_id] = replace(self.rows[batch_id], **values)

    def _release(self, batch_id, **values):
        self.past_window.discard(batch_id)
        self._change(batch_id, state=PENDING, token=None, worker=None, **values)

    def queue(self, batch_id, *, past_window=False):
        if past_window and self.rows[batch_id].state is PENDING:
            self.past_window.add(batch_id)
        assert self.rows[batch_id].state in (PENDING, QUEUED)
        self._change(batch_id, state=QUEUED)

    def unqueue(self, batch_id):
        if self.rows[batch_id].state is QUEUED:
            self._release(batch_id)

    def claim(self, claimed, worker, *, expired):
        row = self.rows[claimed.id]
        assert row.state is QUEUED, "two processes have claimed the batch, or it was done"
        assert tuple(entry.path for entry in claimed.entries) == row.paths
        assert claimed.attempts == row.attempts
        self._change(
            claimed.id, state=RUNNING, token=claimed.token, worker=worker, was_claimed=True
        )
        (self.expired.add if expired else self.expired.discard)(claimed.id)

    def finish(self, batch_id, token, classified, failed):
        assert self.holds(batch_id, token), "closed by one who no longer held it"
        self.past_window.discard(batch_id)
        row = self.rows[batch_id]
        assert len(row.paths) == classified + failed
        self.done_paths.update((row.ingest_id, path) for path in row.paths)
        outcome = (classified, failed)
        self._change(batch_id, paths=(), state=DONE, token=None, worker=None, outcome=outcome)

    def hand_back(self, batch_id, token):
        assert self.holds(batch_id, token), "handed back after its claim was lost"
        self._release(batch_id)

    def count_attempt(self, batch_id, token, verdict):
        assert self.holds(batch_id, token), "an attempt counted after the claim was lost"
        row = self.rows[batch_id]
        attempts, size = row.attempts + 1, len(row.paths)
        if size == 1:
            self.attempts_alone[row.paths[0]] += 1
        if size == 1 and attempts >= SOLO_ATTEMPTS:
            assert verdict is AttemptOutcome.GIVE_UP
            assert self.attempts_alone[row.paths[0]] >= SOLO_ATTEMPTS, "given up too early"
            self.given_up.add(row.paths[0])
        elif size > 1 and attempts >= SPLIT_AFTER_ATTEMPTS:
            assert verdict is AttemptOutcome.SPLIT
            first, second = row.paths[: size // 2], row.paths[size // 2 :]
            self._release(batch_id, attempts=0, paths=first, suspect=len(first) == 1)
            self.unborn.append(Row(row.ingest_id, second, suspect=len(second) == 1))
        else:
            assert verdict is AttemptOutcome.RETURNED
            self._release(batch_id, attempts=attempts, suspect=size == 1)

    def single_out(self, batch_id, token, verdict, index):
        row = self.rows[batch_id]
        if len(row.paths) == 1 or index >= len(row.paths):
            self.count_attempt(batch_id, token, verdict)
            return
        assert self.holds(batch_id, token), "singled out by one who no longer held it"
        assert verdict is AttemptOutcome.ISOLATED
        others = row.paths[:index] + row.paths[index + 1 :]
        self._release(batch_id, attempts=0, paths=others)
        self.unborn.append(Row(row.ingest_id, (row.paths[index],), suspect=True))

    def adopt(self, rows):
        """Learn the ids of batches that a split has just written."""
        for batch_id in rows.keys() - self.rows.keys():
            assert rows[batch_id] in self.unborn, "a batch that was not created"
            self.unborn.remove(rows[batch_id])
            self.rows[batch_id] = rows[batch_id]
        assert not self.unborn, "a split wrote only one of its halves"

    def paths(self):
        """Every path with its ingest, as often as it is, or was until its end, in a batch."""
        left = Counter((row.ingest_id, path) for row in self.rows.values() for path in row.paths)
        return left + self.done_paths


def entry(path):
    return BatchEntry(path, f"pack of {path}", f"vendor of {path}")


def submit(database, ingests):
    """Write ingests, each a list of batches, each its paths and attempts; return their model."""
    rows = {}
    with database.begin() as connection:
        for packed in ingests:
            ingest_id = ledger.open_ingest(connection, "a test")
            for paths, attempts in packed:
                row = Row(
                    ingest_id,
                    tuple(paths),
                    attempts=attempts,
                    suspect=len(paths) == 1 and attempts > 0,
                )
                entries = [entry(path) for path in paths]
                ledger.add_batch(connection, ingest_id, ROOT, entries, suspect=row.suspect)
                rows[len(rows) + 1] = row
                with_attempts = update(batches).where(batches.c.id == len(rows))
                connection.execute(with_attempts.values(attempts=attempts))
    model = Model(rows)
    model.attempts_alone.update(
        {row.paths[0]: row.attempts for row in rows.values() if len(row.paths) == 1}
    )
    return model


def empty(database):
    """Forget everything, and count ids from 1 again."""
    with database.begin() as connection:
        if database.dialect.name == "postgresql":
            tables = "ingests, batches, batch_measures, sounds"
            connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
        else:
            for table in ("sounds", "batch_measures", "batches", "ingests"):
                connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608


def committed_rows(database):
    """The batches as everybody sees them; each sound still has its own pack and vendor."""
    with reading(database) as connection:
        found = list(connection.execute(select(batches)).mappings())
    for row in found:
        assert row["packs"] == [f"pack of {path}" for path in row["paths"]]
        assert row["vendors"] == [f"vendor of {path}" for path in row["paths"]]
        left = 0 if row["state"] == DONE else row["sound_count"]
        assert len(row["paths"]) == left
    return {
        row["id"]: Row(
            row["ingest_id"],
            tuple(row["paths"]),
            BatchState(row["state"]),
            row["attempts"],
            row["token"],
            row["worker"] if row["state"] == RUNNING else None,
            None if row["classified"] is None else (row["classified"], row["failed"]),
            row["suspect"],
            row["started_at"] is not None,
        )
        for row in found
    }


def committed_sounds(database):
    """The sounds' statuses by path; no path has two rows."""
    with reading(database) as connection:
        found = connection.execute(select(sounds_table.c.path, sounds_table.c.status)).all()
    assert len({path for path, _ in found}) == len(found)
    return {path: str(status) for path, status in found}


# Steps, each inside the caller's transaction


def results(entries, *, crashed=False):
    """Return a row for each sound, of a model that always says the first category."""
    sure = Prediction((1.0, *[0.0] * (N_CATEGORIES - 1)), "a model")
    outcome = Failure(ErrorCode.CRASHED_READER, "expired") if crashed else sure
    return [
        SoundResult(ROOT, entry.path, entry.pack, entry.vendor, 1, 1, None, outcome)
        for entry in entries
    ]


@dataclass(frozen=True, kw_only=True)
class ReadBatch(ClaimedBatch):
    """A batch with its sounds."""

    entries: tuple[BatchEntry, ...]


def read_batch(connection, held):
    """Return a held batch with its sounds."""
    values = {field.name: getattr(held, field.name) for field in fields(held)}
    entries = claimed_entries(connection, held.id, token=held.token)
    return ReadBatch(**values, entries=tuple(entries))


def claim(connection, batch_id, **options):
    """Claim a batch and read its sounds."""
    claimed = ledger.claim(connection, batch_id, **options)
    return None if claimed is None else read_batch(connection, claimed)


def close(connection, claimed, *, crashed=False):
    """Finish a batch with a row for each of its sounds; return whether it was still claimed."""
    size = claimed.sound_count
    entries = claimed_entries(connection, claimed.id, token=claimed.token)
    classified, failed = (0, size) if crashed else (size, 0)
    held = ledger.finish(
        connection, claimed.id, token=claimed.token, classified=classified, failed=failed
    )
    if held:
        sounds.save(connection, results(entries, crashed=crashed))
    return held


def count_expired(connection, expired, index=None):
    """Count an attempt as a sweep does, or, with `index`, as recovery by a crash marker does.

    Close the batch when its sound is given up.
    """
    if index is None:
        verdict = recovery.count_attempt(connection, expired.id, token=expired.token)
    else:
        verdict = recovery.isolate(connection, expired.id, token=expired.token, index=index)
    if verdict is AttemptOutcome.GIVE_UP:
        assert close(connection, expired, crashed=True)
    return verdict


# How much work there can be


def claims_with_one_poison(size):
    """Most claims until a batch with one sound that silences everybody is done, and of those it.

    The sound is claimed `SPLIT_AFTER_ATTEMPTS` times on each of the ceil(log2 size) levels above
    itself, where each split also leaves a sound half to be claimed once, and `SOLO_ATTEMPTS` times
    alone.
    """
    levels = (size - 1).bit_length()
    of_poison = SPLIT_AFTER_ATTEMPTS * levels + SOLO_ATTEMPTS
    return of_poison + levels, of_poison


def drain(database, poison, most_claims):
    """Work and sweep until nothing is open; return how often each path was claimed."""
    claims, claimed_paths = 0, Counter()
    with database.begin() as connection:
        running = select(batches.c.worker).where(batches.c.state == RUNNING).distinct()
        for worker in connection.execute(running).scalars().all():
            for held in recovery.claimed_by_worker(connection, worker):
                recovery.hand_back(connection, held.id, token=held.token)
    while True:
        with database.begin() as connection:
            batch_id = ledger.next_open(connection)
        if batch_id is None:
            return claims, claimed_paths
        claims += 1
        assert claims <= most_claims, "work without end"
        with database.begin() as connection:
            claimed = claim(
                connection, batch_id, token=f"drain {claims}", worker="drain", lease_seconds=-1
            )
        paths = {entry.path for entry in claimed.entries}
        claimed_paths.update(paths)
        with database.begin() as connection:
            if paths.isdisjoint(poison):
                assert close(connection, claimed)
            else:
                expired = recovery.next_expired(connection)
                assert expired.token == claimed.token
                count_expired(connection, expired)
