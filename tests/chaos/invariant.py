"""What must hold when all batches are done, checked in the database alone.

Every existing file has exactly one row, with an allowed outcome; rows of files that no longer exist
are marked as gone; a label is where its file is; the ledger's counts agree with each
other. Not here: how the run came there (`history`).
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sqlalchemy import Engine, func, select

from classifier.categories import N_CATEGORIES
from db.engine import reading
from db.states import BatchState, LabelSource, SoundStatus
from db.tables import batches, ingests, sounds
from tests.chaos.library import CLASSIFIED, PASSING, Sound


@dataclass
class Account:
    """What the database holds, and what is wrong with it."""

    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    #: Rows of files that are gone.
    gone: int = 0
    #: Files that have a label, and it is where it should be.
    labels_kept: int = 0


def open_batches(database: Engine) -> dict[str, int]:
    """Count the batches that are not done, by state."""
    query = select(batches.c.state, func.count()).group_by(batches.c.state)
    with reading(database) as connection:
        rows = connection.execute(query.where(batches.c.state != BatchState.DONE)).all()
    return {str(state): count for state, count in sorted(rows)}


def take_account(
    database: Engine,
    expected: dict[str, frozenset[str]],
    left: Collection[str] = (),
    labelled: Iterable[Sound] = (),
    versions: Collection[str | None] = (),
) -> Account:
    """Check the database against the files of the run.

    - `expected`: the allowed outcomes of each existing file.
    - `left`: paths at which a file was, and is no longer: their rows are gone, or there are none.
    - `labelled`: files that were given a label.
    - `versions`: of the models that may have classified; empty: any.
    """
    account = Account()
    _check_sounds(database, expected, left, account)
    _check_labels(database, labelled, account)
    if versions:
        _check_versions(database, versions, account)
    _check_batches(database, account)
    _check_ingests(database, account)
    return account


def count_done(database: Engine) -> int:
    """Count the batches that are done."""
    query = select(func.count()).where(batches.c.state == BatchState.DONE)
    with reading(database) as connection:
        return int(connection.execute(query).scalar_one())


def unfair(database: Engine, expected: dict[str, frozenset[str]]) -> list[str]:
    """Return the files recorded as the cause of a failure that was the storage's."""
    wrong = []
    with reading(database) as connection:
        for row in connection.execute(
            select(sounds).where(sounds.c.error_code.is_not(None), sounds.c.gone_at.is_(None))
        ):
            allowed = expected.get(row.path)
            if allowed is not None and row.error_code not in allowed | PASSING:
                wrong.append(f"{row.path!r} was called {row.error_code}: {row.error_message}")
    return wrong


def _check_sounds(
    database: Engine,
    expected: dict[str, frozenset[str]],
    left: Collection[str],
    account: Account,
) -> None:
    seen: Counter[str] = Counter()
    with reading(database) as connection:
        for row in connection.execute(select(sounds).order_by(sounds.c.path)):
            seen[row.path] += 1
            account.rows += 1
            if row.path in left:
                account.gone += 1
                if row.gone_at is None:
                    account.wrong.append(f"{row.path!r} is not there any more, and not gone")
                continue
            if row.gone_at is not None:
                account.wrong.append(f"{row.path!r} is there, and gone")
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


def _check_labels(database: Engine, labelled: Iterable[Sound], account: Account) -> None:
    query = select(sounds.c.path, sounds.c.label).where(sounds.c.label_source == LabelSource.HUMAN)
    with reading(database) as connection:
        labels = {row.path: row.label for row in connection.execute(query)}
    for sound in labelled:
        kept = [path for path in sound.keeps_label_at if labels.get(path) == sound.label]
        if kept:
            account.labels_kept += 1
        else:
            account.wrong.append(f"{sound.path!r} lost its label, {sound.label}; {sound.paths}")


def _check_versions(database: Engine, versions: Collection[str | None], account: Account) -> None:
    query = select(sounds.c.model_version).where(sounds.c.status == SoundStatus.CLASSIFIED)
    with reading(database) as connection:
        found = set(connection.scalars(query.distinct()))
    account.wrong += [f"{each!r} classified, which never served" for each in found - set(versions)]


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
