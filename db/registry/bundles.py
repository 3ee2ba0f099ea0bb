"""Model bundles in the database: stored once, never changed, one of them champion.

With no champion the starter that ships with the package serves; it is not copied into the table,
because every host has it already. Each promotion remembers what served before it, so that it can be
taken back.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from classifier.bundle.starter import starter_version
from classifier.errors import BundleError
from db.dialects import lock_table, now
from db.tables import models, promotions


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A row of `models` without its bundle.

    - `version`, `sha256`
    - `metrics`: as the training run reported them.
    """

    version: str
    sha256: str
    size_bytes: int
    metrics: dict[str, Any]
    champion: bool
    created_at: datetime


def store(connection: Connection, *, version: str, bundle: bytes, metrics: dict[str, Any]) -> None:
    """Write a new bundle; it serves nobody until it is promoted."""
    connection.execute(
        insert(models).values(
            version=version,
            bundle=bundle,
            sha256=hashlib.sha256(bundle).hexdigest(),
            metrics=metrics,
            champion=False,
            created_at=now(),
        )
    )


def champion_version(connection: Connection) -> str | None:
    """Return the champion's version; None: the starter serves."""
    return connection.execute(
        select(models.c.version).where(models.c.champion)
    ).scalar_one_or_none()


def serving_version(connection: Connection) -> str:
    """Return the version of the model that serves: the champion's, else the starter's."""
    return champion_version(connection) or starter_version()


def read(connection: Connection, version: str) -> bytes | None:
    """Return a bundle whose hash was checked, or None when there is no such version.

    Raises BundleError: the stored bytes are not the ones that were stored.
    """
    row = connection.execute(
        select(models.c.bundle, models.c.sha256).where(models.c.version == version)
    ).one_or_none()
    if row is None:
        return None
    bundle = bytes(row.bundle)
    if hashlib.sha256(bundle).hexdigest() != row.sha256:
        raise BundleError(
            f"model {version} in the database is damaged: its SHA-256 is not the one recorded "
            "when it was stored. Train again, or promote another version."
        )
    return bundle


def promote(
    connection: Connection,
    version: str | None,
    *,
    by: str = "a person",
    reason: str = "promoted by hand",
) -> bool:
    """Make one version the champion, and remember what served before it.

    - `connection`: in a transaction. Of two promotions at once the second sees what the first did.
    - `version`: None makes the starter serve.
    - `by`, `reason`: for a person who looks at the history.

    Returns False when there is no such version, and nothing was changed. To promote what serves
    already changes nothing either, and is not remembered: there would be nothing to take back.
    """
    lock_promotions(connection)
    if version is not None and not _exists(connection, version):
        return False
    _switch(connection, version, by=by, reason=reason)
    return True


def lock_promotions(connection: Connection) -> None:
    """Let nobody else promote until this transaction ends; who must first see what serves."""
    lock_table(connection, promotions)


@dataclass(frozen=True, slots=True)
class Rollback:
    """What a rollback would do, or did.

    - `undoes`: the promotion that is taken back.
    - `version`: what serves behind it; None: the starter.
    - `previous`: what serves before it; None: the starter.
    """

    undoes: int
    version: str | None
    previous: str | None


def next_rollback(connection: Connection) -> Rollback | None:
    """Return what `roll_back` would do; None when no promotion is left to take back.

    Promotions are taken back one by one, the newest first: a second rollback goes one further back,
    and does not bring forward again what the first took away.
    """
    undone = select(promotions.c.undoes).where(promotions.c.undoes.is_not(None))
    row = connection.execute(
        select(promotions.c.id, promotions.c.version, promotions.c.previous)
        .where(promotions.c.undoes.is_(None), promotions.c.id.not_in(undone))
        .order_by(promotions.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Rollback(row.id, version=row.previous, previous=row.version)


def roll_back(connection: Connection, expected: Rollback, *, by: str) -> bool:
    """Take back the newest promotion that was not taken back yet.

    - `connection`: in a transaction.
    - `expected`: from `next_rollback`: the caller has made sure that its version loads.

    Returns False, and nothing was changed: somebody has promoted or rolled back since, or the
    version is gone from the database.
    """
    lock_promotions(connection)
    if next_rollback(connection) != expected:
        return False
    if expected.version is not None and not _exists(connection, expected.version):
        return False
    _switch(
        connection,
        expected.version,
        by=by,
        reason=f"rollback of promotion {expected.undoes}",
        undoes=expected.undoes,
    )
    return True


def _exists(connection: Connection, version: str) -> bool:
    query = select(models.c.version).where(models.c.version == version)
    return connection.execute(query).first() is not None


def _switch(
    connection: Connection, version: str | None, *, by: str, reason: str, undoes: int | None = None
) -> None:
    previous = champion_version(connection)
    if version != previous:
        connection.execute(update(models).where(models.c.champion).values(champion=False))
        connection.execute(update(models).where(models.c.version == version).values(champion=True))
    elif undoes is None:
        return
    connection.execute(
        insert(promotions).values(
            version=version,
            previous=previous,
            by=by,
            reason=reason,
            undoes=undoes,
            promoted_at=now(),
        )
    )


def stored(connection: Connection) -> list[StoredModel]:
    """Return every stored model, newest first, without loading a bundle."""
    rows = connection.execute(
        select(
            models.c.version,
            models.c.sha256,
            func.length(models.c.bundle).label("size_bytes"),
            models.c.metrics,
            models.c.champion,
            models.c.created_at,
        ).order_by(models.c.created_at.desc(), models.c.version)
    )
    return [StoredModel(**row._asdict()) for row in rows]
