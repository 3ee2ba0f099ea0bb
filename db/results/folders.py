"""The sounds below a folder, by their paths."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, text

from db.tables import PRESENT, sounds


class Folder(NamedTuple):
    """A folder of a library root.

    - `prefix`: of the paths below it, with its slash; empty for the whole root.
    """

    root: str
    prefix: str


def folder_of(root: str, path: str) -> Folder:
    """Return a folder by its path in a root; empty: the whole root."""
    return Folder(root, f"{path.rstrip('/')}/" if path else "")


def is_below(folders: Sequence[Folder]) -> ColumnElement[bool]:
    """Return the condition that a sound is below one of some folders."""
    # Not LIKE, which has wildcards, and on SQLite takes capitals for small letters.
    return or_(
        *(
            and_(
                sounds.c.root == folder.root,
                func.substr(sounds.c.path, 1, len(folder.prefix)) == folder.prefix,
            )
            for folder in folders
        )
    )


def keys_below(connection: Connection, folder: Folder, *, with_gone: bool = False) -> list[bytes]:
    """Return the keys of the sounds below a folder that are there, or of all that are known."""
    query = select(sounds.c.key).where(is_below([folder]))
    if not with_gone:
        query = query.where(text(PRESENT))
    return list(map(bytes, connection.scalars(query)))
