"""Redis and the database are killed, stopped, frozen, full, read-only, locked, of another time."""

import sqlite3
from collections.abc import Callable
from typing import Final

from sqlalchemy import create_engine, make_url, text

from db.errors import DATABASE_AWAY
from tests.chaos.faults import Drawn, Fault, Scene
from workers.celery_ext.app import queue_of


def _kill_redis(scene: Scene, drawn: Drawn) -> str:
    server = scene.world.redis
    server.kill()
    scene.world.lasting("redis", drawn.seconds, server.start)
    return f"with all it held, away {drawn.seconds:.1f} s"


def _empty_redis(scene: Scene, drawn: Drawn) -> str:
    with scene.client as client:
        held = client.llen(queue_of("library").name)
        client.flushall()
    return f"{held} messages waited"


def _freeze_redis(scene: Scene, drawn: Drawn) -> str:
    server = scene.world.redis
    server.freeze()
    scene.world.lasting("redis", drawn.seconds, server.thaw)
    return f"{drawn.seconds:.1f} s"


def _fill_redis(scene: Scene, drawn: Drawn) -> str:
    def set_memory(limit: str) -> None:
        with scene.client as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", limit)

    set_memory("1")
    scene.world.lasting("redis", drawn.seconds, lambda: set_memory("0"))
    return f"{drawn.seconds:.1f} s"


def _kill_postgres(scene: Scene, drawn: Drawn) -> str:
    server = scene.world.postgres
    server.kill()
    scene.world.lasting("database", drawn.seconds, server.start)
    return f"away {drawn.seconds:.1f} s"


def _stop_postgres(scene: Scene, drawn: Drawn) -> str:
    server = scene.world.postgres
    server.stop()
    scene.world.lasting("database", drawn.seconds, server.start)
    return f"away {drawn.seconds:.1f} s"


def _freeze_postgres(scene: Scene, drawn: Drawn) -> str:
    server = scene.world.postgres
    server.freeze()
    scene.world.lasting("database", drawn.seconds, server.thaw)
    return f"{drawn.seconds:.1f} s"


def _fill_postgres(scene: Scene, drawn: Drawn) -> str:
    conditions = scene.world.conditions
    conditions.be_full(True)
    scene.world.lasting("database", drawn.seconds, lambda: conditions.be_full(False))
    return f"no room for rows, {drawn.seconds:.1f} s"


def _let_postgres_only_read(scene: Scene, drawn: Drawn) -> str:
    conditions = scene.world.conditions
    conditions.be_read_only(True)
    scene.world.lasting("database", drawn.seconds, lambda: conditions.be_read_only(False))
    return f"as a standby, {drawn.seconds:.1f} s"


def _set_clock(ahead_seconds: float) -> Callable[[Scene, Drawn], str]:
    def strike(scene: Scene, drawn: Drawn) -> str:
        conditions = scene.world.conditions
        conditions.set_clock(ahead_seconds)
        scene.world.lasting("database", drawn.seconds, lambda: conditions.set_clock(0))
        return f"and back {drawn.seconds:.1f} s later"

    return strike


def _upgrade_tables(scene: Scene, drawn: Drawn) -> str:
    column = f"of_a_later_version_{drawn.at_seconds:.0f}"
    database = create_engine(
        scene.world.database_url,
        # The process with the lock may be frozen, and this thread would have to thaw it.
        connect_args={"timeout": 0.5}
        if "sqlite" in scene.world.offers
        else {"options": "-c lock_timeout=500"},
    )
    try:
        with database.begin() as connection:
            for table in ("batches", "sounds", "ingests"):
                connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER"))
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    except DATABASE_AWAY:
        return "another process has locked them"
    finally:
        database.dispose()
    return f"with {column}"


def _lock_sqlite(scene: Scene, drawn: Drawn) -> str:
    path = make_url(scene.world.database_url).database
    # Closed by the loop's one thread, which opened it.
    locker = sqlite3.connect(str(path), timeout=0.5, isolation_level=None)
    try:
        locker.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        locker.close()
        return "it is locked as it is"

    def unlock() -> None:
        locker.rollback()
        locker.close()

    scene.world.lasting("database", drawn.seconds, unlock)
    return f"{drawn.seconds:.1f} s"


SERVER_KINDS: Final = (
    Fault("Redis killed", "redis", _kill_redis, (0.1, 3.0)),
    Fault("FLUSHALL", "redis", _empty_redis),
    Fault("Redis frozen", "redis", _freeze_redis, (2.0, 8.0)),
    Fault("Redis full", "redis", _fill_redis, (2.0, 5.0)),
    Fault("PostgreSQL killed", "database", _kill_postgres, (0.1, 3.0), needs="postgres"),
    Fault("PostgreSQL stopped", "database", _stop_postgres, (0.1, 3.0), needs="postgres"),
    Fault("PostgreSQL frozen", "database", _freeze_postgres, (3.0, 6.0), needs="postgres"),
    Fault("PostgreSQL full", "database", _fill_postgres, (2.0, 5.0), needs="postgres"),
    Fault(
        "PostgreSQL read-only", "database", _let_postgres_only_read, (2.0, 5.0), needs="postgres"
    ),
    Fault(
        "PostgreSQL's clock 2 h ahead", "database", _set_clock(7200), (2.0, 5.0), needs="postgres"
    ),
    Fault(
        "PostgreSQL's clock 2 h back", "database", _set_clock(-7200), (2.0, 5.0), needs="postgres"
    ),
    Fault("SQLite locked", "database", _lock_sqlite, (2.0, 8.0), needs="sqlite"),
    Fault("tables of a later version", "database", _upgrade_tables),
)
