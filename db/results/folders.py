"""Conditions and queries for the sounds below a folder, by their paths."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from db.tables import sounds

#: SQL condition: the file is present; for scans of the whole table. It is written differently from
#: the conditions of the partial indexes, because SQLite would otherwise use one of them and look up
#: each row, which takes several times as long as a scan.
IS_PRESENT: Final = case((sounds.c.gone_at.is_(None), 1), else_=0) == 1


class Folder(NamedTuple):
    """A folder of a library root.

    - `prefix`: of the paths below it, with a trailing slash; empty for the whole root.
    """

    root: str
    prefix: str

    def holds(self, root: str, path: str) -> bool:
        """Whether a path of a root is below this folder."""
        return root == self.root and path.startswith(self.prefix)


def folder_of(root: str, path: str) -> Folder:
    """Return the folder at a path relative to a root; an empty path is the whole root."""
    return Folder(root, f"{path.rstrip('/')}/" if path else "")


def is_below(folders: Sequence[Folder], *, with_gone: bool = False) -> ColumnElement[bool]:
    """Return the condition that a sound is below one of the folders, and its file is present.

    - `with_gone`: also accept files that are gone.
    """
    # Not LIKE, which has wildcards, and on SQLite ignores case.
    below = or_(
        *(
            and_(
                sounds.c.root == folder.root,
                func.substr(sounds.c.path, 1, len(folder.prefix)) == folder.prefix,
            )
            for folder in folders
        )
    )
    if with_gone:
        return below
    return and_(below, IS_PRESENT)


def keys_below(connection: Connection, folder: Folder, *, with_gone: bool = False) -> list[bytes]:
    """Return the keys of the sounds below a folder whose files are present, or of all sounds."""
    query = select(sounds.c.key).where(is_below([folder], with_gone=with_gone))
    return list(map(bytes, connection.scalars(query)))
