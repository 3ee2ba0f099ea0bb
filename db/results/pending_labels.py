"""Labels that are submitted together with the path of a sound, which may have no row yet.

Such a label is stored in `label_history`. It becomes current when the first result of its sound is
written (`db.results.sounds.save`).
"""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from classifier.categories import category_index
from db.bulk import one_of
from db.dialects import insert, now
from db.results.labels import NewLabel, write_labels
from db.results.sounds import known_keys, sound_key
from db.states import LabelSource
from db.tables import label_history


def write_pending_labels(
    connection: Connection,
    labels: Mapping[tuple[str, str], str],
    *,
    source: LabelSource,
    labelled_by: str,
) -> None:
    """Give sounds their labels, whether they have a row or not.

    A label that equals the sound's latest one, with the same source, is skipped.

    - `connection`: in the transaction that writes the sounds without a row to the ledger, after the
      query for rows (`db.results.sounds.find_known`). Their results are then written after the
      labels.
    - `labels`: category by root and path; at most about a thousand.

    Raises ValueError: an unknown category.
    """
    for category in labels.values():
        category_index(category)
    by_key = {sound_key(*sound): sound for sound in labels}
    known = known_keys(connection, list(by_key))
    write_labels(
        connection,
        [NewLabel(key, labels[by_key[key]], source) for key in known],
        labelled_by=labelled_by,
    )
    latest = _latest(connection, [key for key in by_key if key not in known])
    early = [
        {
            "key": key,
            "root": root,
            "path": path,
            "category": labels[root, path],
            "source": source,
            "labelled_by": labelled_by,
        }
        for key, (root, path) in by_key.items()
        if key not in known and latest.get(key) != (labels[root, path], source)
    ]
    if early:
        connection.execute(insert(connection, label_history).values(labelled_at=now()), early)


def _latest(connection: Connection, keys: list[bytes]) -> dict[bytes, tuple[str, str]]:
    """Return category and source of the latest label, by key; sounds without one are absent."""
    table = label_history.c
    ids = select(func.max(table.id)).where(one_of(connection, table.key, keys)).group_by(table.key)
    rows = connection.execute(
        select(table.key, table.category, table.source).where(table.id.in_(ids))
    )
    return {bytes(row.key): (row.category, row.source) for row in rows}
