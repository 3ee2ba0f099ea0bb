"""A batch that its holder could not hand back, because the database was away: written down instead.

An empty file whose name says which batch, and the token it was held under. Without it the lease
would bring the batch back too, but with an attempt counted against its sounds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".iou"


@dataclass(frozen=True, slots=True)
class Iou:
    """One batch to be handed back without blame.

    Attributes
    ----------
    path : Path
        Its file, to be deleted once the ledger has the batch back.
    token : str
        The claim under which it was held.
    """

    path: Path
    batch_id: int
    token: str


def write_iou(folder: Path, batch_id: int, token: str) -> None:
    """Leave word that a batch is to be handed back.

    Raises
    ------
    OSError
        It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{batch_id}-{token}{_SUFFIX}").touch(mode=0o600)


def ious_in(folder: Path) -> Iterator[Iou]:
    """Yield all that lie in a folder."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        batch_id, _, token = path.name.removesuffix(_SUFFIX).partition("-")
        if batch_id.isdecimal():
            yield Iou(path, int(batch_id), token)
