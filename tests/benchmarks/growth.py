"""Query times on a large database: ``python -m tests.benchmarks.growth``.

For PostgreSQL and SQLite: generates two million sounds with their finished batches, then measures
the median time of the queries of ``cratesort status`` and of the first page of ``results --below
0.6`` and of ``results --needs-review``, and the size of the table and its indexes. Starts its own
PostgreSQL. Prints a Markdown table.

A test that the indexes are used is in `tests/integration/test_growth.py`.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, islice
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from psycopg.types.json import Json
from sqlalchemy import JSON, Connection, Engine, Table, insert, text

from classifier.categories import CATEGORIES, N_CATEGORIES
from classifier.errors import ErrorCode
from db.dialects import unlimited
from db.engine import create_engine, reading
from db.migrate import upgrade
from db.registry.bundles import champion_version
from db.registry.training_runs import latest
from db.reporting.counts import ledger_counts, sound_counts
from db.reporting.ingest_progress import progress
from db.reporting.throughput import files_per_second, work
from db.results.queries import SoundRow, results
from db.results.sounds import sound_key
from db.states import BatchState, LabelSource, SoundStatus
from db.tables import CONFIDENCE_PERCENT, batch_measures, batches, ingests, sounds
from tests.support.servers import PostgresServer, running

#: What `results` fetches at once, and so what its reader waits for.
PAGE_ROWS: Final = 1000

_RUNS: Final = 5
_BATCH_SIZE: Final = 256
_PACK_SIZE: Final = 400
_PACKS_OF_A_VENDOR: Final = 12
_BATCHES_OF_AN_INGEST: Final = 1000
_BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)
_ROOT: Final = "main"

#: Of each category, in their order: a third of a marketplace is drums.
_SHARES: Final = np.array([5, 8, 30, 9, 10, 8, 7, 1, 2, 7, 6, 7]) / 100

# Sounds for which chance is asked at once, and rows that are written at once.
_AT_ONCE: Final = 10_000

Row = dict[str, Any]


def sound_rows(count: int) -> Iterator[Row]:
    """Make up rows of `sounds`, the same each time.

    Of a hundred two failed, one has a label, one is from before models said whether they are
    unsure, and some ten need a review.

    Parameters
    ----------
    count : int

    Yields
    ------
    dict of str to Any
        By column; all have the same columns.
    """
    chance = np.random.default_rng(7)
    nothing: Row = {column.name: None for column in sounds.columns if column.name != "id"}
    for start in range(0, count, _AT_ONCE):
        size = min(_AT_ONCE, count - start)
        categories = chance.choice(N_CATEGORIES, size, p=_SHARES)
        confidences = chance.beta(3.2, 1.0, size)
        failed, labelled, silent = (chance.random(size) < share for share in (0.02, 0.01, 0.01))
        probabilities = chance.random((size, N_CATEGORIES)).astype("<f4")
        for place in range(size):
            number = start + place
            pack, vendor = _pack(number), _vendor(number)
            category = CATEGORIES[categories[place]]
            path = _path(number)
            row = nothing | {
                "key": sound_key(_ROOT, path),
                "root": _ROOT,
                "path": path,
                "pack": pack,
                "vendor": vendor,
                "file_size_bytes": 400_000 + number,
                "mtime_ns": 1_700_000_000_000_000_000 + number,
                "classified_at": _BEGINNING + timedelta(milliseconds=5 * number),
            }
            if failed[place]:
                code = (ErrorCode.EMPTY_FILE, ErrorCode.NOT_AUDIO)[number % 2]
                yield row | {
                    "status": SoundStatus.FAILED.value,
                    "error_code": code.value,
                    "error_message": "nothing in it can be read as sound",
                }
                continue
            confidence = float(confidences[place])
            row |= {
                "status": SoundStatus.CLASSIFIED.value,
                "category": category,
                "confidence": confidence,
                "probabilities": probabilities[place].tobytes(),
                "model_version": "starter-1",
                "evidence": "name",
                "needs_review": None if silent[place] else confidence < 0.5,
                "duration_seconds": 2.5,
                "sample_rate_hz": 44_100,
                "channels": 2,
                "frame_count": 110_250,
                "sample_type": "PCM_24",
                "tempo_bpm": 120.0,
                "tempo_source": "name",
            }
            if labelled[place]:
                row |= {
                    "label": category,
                    "label_source": LabelSource.HUMAN.value,
                    "labelled_by": "ada",
                    "labelled_at": _BEGINNING,
                }
            yield row


def _pack(number: int) -> str:
    return f"Pack {number // _PACK_SIZE:05}"


def _vendor(number: int) -> str:
    return f"Vendor {number // _PACK_SIZE // _PACKS_OF_A_VENDOR:04}"


def _path(number: int) -> str:
    return f"{_vendor(number)}/{_pack(number)}/One Shots/{number:07}_Kick_Am_120.wav"


def ingest_rows(count: int) -> Iterator[Row]:
    """Make up the ingests that handed in `count` sounds, as `sound_rows`."""
    in_each = _BATCHES_OF_AN_INGEST * _BATCH_SIZE
    for start in range(0, count, in_each):
        found = min(in_each, count - start)
        yield {
            "id": start // in_each + 1,
            "source": "/library",
            "found": found,
            "enqueued": found,
            "started_at": _BEGINNING,
            "submitted_at": _BEGINNING,
        }


def batch_rows(count: int) -> Iterator[Row]:
    """Make up the done batches of `count` sounds, as `sound_rows`."""
    for place, start in enumerate(range(0, count, _BATCH_SIZE)):
        numbers = range(start, min(start + _BATCH_SIZE, count))
        at = _BEGINNING + timedelta(seconds=place)
        yield {
            "id": place + 1,
            "ingest_id": place // _BATCHES_OF_AN_INGEST + 1,
            "root": _ROOT,
            "paths": [_path(number) for number in numbers],
            "packs": [_pack(number) for number in numbers],
            "vendors": [_vendor(number) for number in numbers],
            "sound_count": len(numbers),
            "state": BatchState.DONE.value,
            "worker": f"host{place % 4}:{100 + place % 8}:abcdef",
            "created_at": at,
            "queued_at": at,
            "started_at": at,
            "finished_at": at + timedelta(seconds=2),
            "classified": len(numbers) - 5,
            "failed": 5,
        }


def measure_rows(count: int) -> Iterator[Row]:
    """Make up what the batches of `batch_rows` cost."""
    for place in range(-(-count // _BATCH_SIZE)):
        yield {
            "batch_id": place + 1,
            **{f"{name}_seconds": 0.1 for name in ("waited", "headers", "folders")},
            **{f"{name}_seconds": 0.1 for name in ("model", "database")},
            "tokens": 1000,
            "unknown_tokens": 100,
            "unsure": 25,
            "confidence_sum": 200.0,
            **{f"confidence_{percent}": 31 for percent in CONFIDENCE_PERCENT},
        }


def fill(engine: Engine, count: int) -> None:
    """Put `count` sounds and their batches into empty tables.

    PostgreSQL is left as its autovacuum would leave it, SQLite without ANALYZE, as nothing of ours
    runs it; both without a connection, with its own settings and cache.

    Parameters
    ----------
    engine : Engine
    count : int
        Of sounds.
    """
    made: tuple[tuple[Table, Iterator[Row]], ...] = (
        (ingests, ingest_rows(count)),
        (batches, batch_rows(count)),
        (batch_measures, measure_rows(count)),
        (sounds, sound_rows(count)),
    )
    postgres = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        # Or PostgreSQL would give up, and SQLite would read its indexes from disk all the time.
        unlimited(connection)
        if not postgres:
            connection.execute(text("PRAGMA cache_size = -1000000"))
        for table, rows in made:
            if postgres:
                _copy(connection, table, rows)
                continue
            while some := list(islice(rows, _AT_ONCE)):
                connection.execute(insert(table), some)
    if postgres:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            unlimited(connection)
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM ANALYZE"))
            for table in (ingests, batches, sounds):  # their rows came with ids of their own
                connection.execute(
                    text(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) "  # noqa: S608
                        f"FROM {table.name}"
                    )
                )
    engine.dispose()


def _copy(connection: Connection, table: Table, rows: Iterator[Row]) -> None:
    first = next(rows)
    lists = {column.name for column in table.columns if isinstance(column.type, JSON)}
    driver: Any = connection.connection.dbapi_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {table.name} ({', '.join(first)}) FROM STDIN") as copy,
    ):
        for row in chain((first,), rows):
            copy.write_row([Json(value) if name in lists else value for name, value in row.items()])


def ask_status(connection: Connection) -> None:
    """Run all queries of ``cratesort status``."""
    sound_counts(connection)
    ledger_counts(connection)
    files_per_second(connection)
    work(connection)
    progress(connection)
    champion_version(connection)
    latest(connection)


def first_page(connection: Connection, **chosen: Any) -> list[SoundRow]:
    """Return the first rows of `db.results.queries.results`, as many as are fetched at once.

    Parameters
    ----------
    connection : Connection
    **chosen
        As `db.results.queries.results` takes them.

    Returns
    -------
    list of SoundRow
    """
    return list(islice(results(connection, **chosen), PAGE_ROWS))


#: What is measured, under the name that the table gives it.
QUESTIONS: Final[dict[str, Callable[[Connection], object]]] = {
    "status": ask_status,
    "results --below 0.6": partial(first_page, below=0.6),
    "results --needs-review": partial(first_page, unsure=True),
}


def median_milliseconds(engine: Engine, ask: Callable[[Connection], object]) -> float:
    """Return the median duration of a query in its own transaction, of five runs.

    Parameters
    ----------
    engine : Engine
    ask : callable
        Takes the connection.

    Returns
    -------
    float
    """
    taken = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        with reading(engine) as connection:
            ask(connection)
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def sizes(engine: Engine) -> tuple[float, dict[str, float]]:
    """Return the megabytes of the table `sounds`, and those of its indexes by name.

    Parameters
    ----------
    engine : Engine

    Returns
    -------
    table : float
    indexes : dict of str to float
        Largest first; SQLite has none of ids.
    """
    if engine.dialect.name == "postgresql":
        query = """
            SELECT relname AS name, pg_table_size(oid) AS bytes FROM pg_class
            WHERE oid = 'sounds'::regclass OR oid IN
                (SELECT indexrelid FROM pg_index WHERE indrelid = 'sounds'::regclass)
        """
    else:
        query = """
            SELECT replace(name, 'sqlite_autoindex_sounds_1', 'uq_sounds_key') AS name,
                sum(pgsize) AS bytes
            FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = 'sounds')
            GROUP BY 1
        """
    with reading(engine) as connection:
        found = {row.name: row.bytes / 1e6 for row in connection.execute(text(query))}
    table = found.pop(sounds.name)
    return table, dict(sorted(found.items(), key=lambda item: -item[1]))


def main() -> None:
    """Print what was measured, a column for each database."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    count = parser.parse_args().rows
    measured: list[dict[str, str]] = []
    with TemporaryDirectory() as folder, running(PostgresServer()) as postgres:
        for url in (postgres.url, f"sqlite:///{folder}/growth.db"):
            upgrade(url)
            engine = create_engine(url)
            fill(engine, count)
            figures = {
                f"`{name}`": f"{median_milliseconds(engine, ask):.0f} ms"
                for name, ask in QUESTIONS.items()
            }
            table, indexes = sizes(engine)
            figures["table `sounds`"] = f"{table:.0f} MB"
            figures["its indexes"] = f"{sum(indexes.values()):.0f} MB"
            figures |= {f"`{name}`": f"{size:.1f} MB" for name, size in indexes.items()}
            measured.append(figures)
            engine.dispose()
    print(f"| {count:,} sounds | PostgreSQL | SQLite |")
    print("|---|---|---|")
    for name in dict.fromkeys(chain(*measured)):
        print(f"| {name} | {' | '.join(figures.get(name, '-') for figures in measured)} |")


if __name__ == "__main__":
    main()
