"""Model bundles in the database: stored once, never changed, one of them champion.

With no champion the starter that ships with the package serves; it is not copied into the table,
because every host has it already. What is not here: what is inside a bundle
(`classifier.artifact`).
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from classifier.errors import BundleError
from db.dialects import now
from db.tables import models


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A row of `models` without its bundle.

    Attributes
    ----------
    version, sha256 : str
    size_bytes : int
    metrics : dict
        As the training run reported them.
    champion : bool
    created_at : datetime
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


def read(connection: Connection, version: str) -> bytes | None:
    """Return a bundle whose hash was checked, or None when there is no such version.

    Raises
    ------
    BundleError
        The stored bytes are not the ones that were stored.
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


def promote(connection: Connection, version: str | None) -> bool:
    """Make one version the champion; None makes the starter serve.

    Returns
    -------
    bool
        False: there is no such version, and nothing was changed.
    """
    if version is not None and version not in {model.version for model in stored(connection)}:
        return False
    connection.execute(update(models).where(models.c.champion).values(champion=False))
    if version is not None:
        connection.execute(update(models).where(models.c.version == version).values(champion=True))
    return True


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
    return [
        StoredModel(
            version=row.version,
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            metrics=row.metrics,
            champion=row.champion,
            created_at=row.created_at,
        )
        for row in rows
    ]
