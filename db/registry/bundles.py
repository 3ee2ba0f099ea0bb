"""Model bundles in the database: stored once, never changed, at most one of them the champion.

Without a champion, the starter model is in use. It ships with the package, so it has no row here.
Each promotion records the model that was in use before, so that it can be rolled back.
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

    - `sha256`: of the bundle, in hexadecimal.
    - `metrics`: as reported by the training run.
    """

    version: str
    sha256: str
    size_bytes: int
    metrics: dict[str, Any]
    champion: bool
    created_at: datetime


def store(connection: Connection, *, version: str, bundle: bytes, metrics: dict[str, Any]) -> None:
    """Write a new bundle; it is not used until it is promoted."""
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
    """Return the champion's version; None: the starter is in use."""
    return connection.execute(
        select(models.c.version).where(models.c.champion)
    ).scalar_one_or_none()


def serving_version(connection: Connection) -> str:
    """Return the version of the model in use: the champion's, else the starter's."""
    return champion_version(connection) or starter_version()


def read(connection: Connection, version: str) -> bytes | None:
    """Return a bundle after checking its hash, or None when there is no such version.

    Raises BundleError: the bundle is damaged.
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
    by: str = "a user",
    reason: str = "promoted manually",
) -> bool:
    """Make one version the champion, and record the model that was in use before.

    - `connection`: in a transaction. A concurrent promotion waits until it ends.
    - `version`: None for the starter.
    - `by`, `reason`: shown to users in the history.

    Returns False, with nothing changed, when there is no such version. Promoting the model in use
    returns True, but changes and records nothing, because there would be nothing to roll back.
    """
    lock_promotions(connection)
    if version is not None and not _exists(connection, version):
        return False
    _switch(connection, version, by=by, reason=reason)
    return True


def lock_promotions(connection: Connection) -> None:
    """Block other promotions until this transaction ends; lock before reading the champion."""
    lock_table(connection, promotions)


@dataclass(frozen=True, slots=True)
class Rollback:
    """What a rollback would do, or did.

    - `undoes`: the id of the promotion that is rolled back.
    - `version`: the model in use after the rollback; None: the starter.
    - `previous`: the model that the promotion had put in use; None: the starter.
    """

    undoes: int
    version: str | None
    previous: str | None


def next_rollback(connection: Connection) -> Rollback | None:
    """Return what `roll_back` would do; None when no promotion is left to roll back.

    Promotions are rolled back one by one, the newest first. A second rollback goes one promotion
    further back; it does not undo the first rollback.
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
    """Roll back the newest promotion that was not rolled back yet.

    - `connection`: in a transaction.
    - `expected`: from `next_rollback`; the caller has checked that its version can be loaded.

    Returns False, with nothing changed, when there was another promotion or rollback since, or
    when the version is no longer in the database.
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
    """Return all stored models, newest first, without loading their bundles."""
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
