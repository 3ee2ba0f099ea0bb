"""Size of the ledger: ``python -m tests.benchmarks.ledger_size``.

The size of the table of batches on PostgreSQL, with indexes, while sounds wait and when they are
done. Measured twice, because a table may only have grown after the first time. Nothing is read or
classified. Prints a Markdown table.
"""

import argparse

from sqlalchemy import Engine, text

from db.engine import create_engine, reading
from db.migrate import upgrade
from db.queue import ledger
from db.queue.batch import BatchEntry, claimed_entries
from tests.support.servers import PostgresServer, running
from workers.settings import Settings


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    options = parser.parse_args()
    with running(PostgresServer()) as postgres:
        postgres.create_database("ledger")
        url = postgres.database_url("ledger")
        upgrade(url)
        database = create_engine(url)
        print(f"| {options.files:,} sounds | wait | are done |\n|---|---|---|")
        for turn in ("for the first time", "once more"):
            _submit(database, options.files)
            waiting = _mib(database)
            _finish_all(database)
            print(f"| {turn} | {waiting:.1f} MiB | {_mib(database):.1f} MiB |", flush=True)
        database.dispose()


def _submit(database: Engine, count: int) -> None:
    size = Settings().batch_size
    entries = [
        BatchEntry(f"Vendor {n // 9000}/Pack {n // 300}/Loops/SP_Deep_Bass_{n}_Am.wav", "p", "v")
        for n in range(count)
    ]
    with database.begin() as connection:
        ingest_id = ledger.open_ingest(connection, "a benchmark")
        for start in range(0, count, size):
            part = entries[start : start + size]
            ledger.add_batch(connection, ingest_id, "library", part)


def _finish_all(database: Engine) -> None:
    with database.begin() as connection:
        for batch in ledger.take_pending(connection, window=10**6, limit=10**6):
            count = len(batch.paths)
            claimed = ledger.claim(connection, batch.id, token="t", worker="w", lease_seconds=60)
            assert claimed is not None
            ledger.finish(
                connection,
                batch.id,
                token="t",
                classified=count,
                failed=0,
                entries=claimed_entries(connection, batch.id, token="t"),
            )


def _mib(database: Engine) -> float:
    """Return the size behind a vacuum, which PostgreSQL does by itself now and then."""
    with database.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM batches"))
    with reading(database) as connection:
        size = connection.execute(text("SELECT pg_total_relation_size('batches')")).scalar_one()
    return int(size) / 2**20


if __name__ == "__main__":
    main()
