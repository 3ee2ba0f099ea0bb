"""What must hold once nothing is open, asked of the database alone.

Every path that was handed in has exactly one row, and that row says what this file deserves; the
ledger's counts agree with each other. Not here: how the run came there (`history`).
"""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import Engine, func, select

from classifier.categories import N_CATEGORIES
from db.engine import reading
from db.states import BatchState, SoundStatus
from db.tables import batches, ingests, sounds
from tests.chaos.library import CLASSIFIED


@dataclass
class Account:
    """What the database holds, and what is wrong with it."""

    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    #: From the batch's row to its end, faults, splits and solo tries of its poison included.
    longest_open_seconds: float = 0.0


def open_batches(database: Engine) -> dict[str, int]:
    """Count the batches that are not done, by state."""
    query = select(batches.c.state, func.count()).group_by(batches.c.state)
    with reading(database) as connection:
        rows = connection.execute(query.where(batches.c.state != BatchState.DONE)).all()
    return {str(state): count for state, count in sorted(rows)}


def take_account(database: Engine, expected: dict[str, frozenset[str]]) -> Account:
    """Compare the database with what was promised."""
    account = Account()
    _check_sounds(database, expected, account)
    _check_batches(database, account)
    _check_ingests(database, account)
    return account


def _check_sounds(database: Engine, expected: dict[str, frozenset[str]], account: Account) -> None:
    seen: Counter[str] = Counter()
    with reading(database) as connection:
        for row in connection.execute(select(sounds).order_by(sounds.c.path)):
            seen[row.path] += 1
            account.rows += 1
            outcome = CLASSIFIED if row.status == SoundStatus.CLASSIFIED else str(row.error_code)
            account.outcomes[outcome] += 1
            if row.path not in expected:
                account.wrong.append(f"{row.path!r} was never handed in")
            elif outcome not in expected[row.path]:
                wanted = " or ".join(sorted(expected[row.path]))
                account.wrong.append(f"{row.path!r} is {outcome}, not {wanted}")
            whole = row.category is not None and len(row.probabilities or b"") == 4 * N_CATEGORIES
            # A failure leaves what was known.
            if not whole and outcome == CLASSIFIED:
                account.wrong.append(f"{row.path!r} is {outcome}, but {row.category=}")
    account.wrong += [f"{path!r} has {count} rows" for path, count in seen.items() if count > 1]
    account.wrong += [f"{path!r} has no row" for path in expected if path not in seen]


def _check_batches(database: Engine, account: Account) -> None:
    with reading(database) as connection:
        for row in connection.execute(select(batches).order_by(batches.c.id)):
            if row.state != BatchState.DONE:
                account.wrong.append(f"batch {row.id} is {row.state}, attempt {row.attempts + 1}")
                continue
            if row.sound_count != row.classified + row.failed or len(row.paths) > 1:
                account.wrong.append(
                    f"batch {row.id}: {row.sound_count} sounds, {row.classified} classified, "
                    f"{row.failed} failed, {len(row.paths)} paths left"
                )
            stood = (row.finished_at - row.created_at).total_seconds()
            account.longest_open_seconds = max(account.longest_open_seconds, stood)


def _check_ingests(database: Engine, account: Account) -> None:
    in_batches = func.coalesce(func.sum(batches.c.sound_count), 0)
    query = (
        select(ingests.c.id, ingests.c.enqueued, in_batches.label("in_batches"))
        .outerjoin(batches, batches.c.ingest_id == ingests.c.id)
        .group_by(ingests.c.id)
        .order_by(ingests.c.id)
    )
    with reading(database) as connection:
        for row in connection.execute(query):
            if row.enqueued != row.in_batches:
                account.wrong.append(
                    f"ingest {row.id}: {row.enqueued} enqueued, {row.in_batches} in its batches"
                )
