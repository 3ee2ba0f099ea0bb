"""A table of millions: what people wait for is answered by indexes, on both databases.

The plans are those of a table of some ten thousand; how long it takes with two million is measured
(`tests.benchmarks.growth`), not tested.
"""

import re
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import event

from db.engine import reading
from db.results.sounds import find_known, sound_key
from tests.benchmarks import growth
from tests.support.databases import connected

SOUNDS = 20_000


@pytest.fixture(scope="module")
def grown_postgres_url(postgres_server, postgres_template):
    postgres_server.create_database("grown", postgres_template)
    yield postgres_server.database_url("grown")
    postgres_server.drop_database("grown")


@pytest.fixture(scope="module")
def grown_sqlite_url(sqlite_template, tmp_path_factory):
    path = tmp_path_factory.mktemp("grown") / "cratesort.db"
    with (
        closing(sqlite3.connect(sqlite_template)) as template,
        closing(sqlite3.connect(path)) as copy,
    ):
        template.backup(copy)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def grown(request):
    """An engine on either database, with many sounds."""
    with connected(request.getfixturevalue(f"grown_{request.param}_url")) as engine:
        growth.fill(engine, SOUNDS)
        yield engine


def plans(engine, ask):
    """What `ask` makes a database do: the plan of each of its statements, by the statement."""
    asked = []

    def note(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith("SELECT"):
            asked.append((statement, parameters, bool(context.execution_options.get("yield_per"))))

    postgres = engine.dialect.name == "postgresql"
    with reading(engine) as connection:
        event.listen(engine, "before_cursor_execute", note)
        ask(connection)
        event.remove(engine, "before_cursor_execute", note)
        found = {}
        for statement, parameters, streams in asked:
            explain = "EXPLAIN QUERY PLAN"
            if postgres:  # which plans a stream for its first rows
                explain = "EXPLAIN DECLARE stream CURSOR FOR" if streams else "EXPLAIN"
            # By the driver: the connection would make a stream of the answer.
            with closing(connection.connection.cursor()) as cursor:
                cursor.execute(f"{explain} {statement}", parameters)
                found[statement] = "\n".join(row[0 if postgres else 3] for row in cursor)
    return found


def reads(engine, plan, table):
    """The lines of a plan that say how a table is read."""
    begins = f"(SCAN|SEARCH) {table}" if engine.dialect.name == "sqlite" else f"Scan .*on {table}"
    return [line for line in plan.splitlines() if re.search(rf"{begins}\b", line)]


def is_read_alone(engine, line, index):
    """Whether an index has all that is asked, and no row is looked at."""
    alone = "COVERING INDEX" if engine.dialect.name == "sqlite" else "Index Only Scan using"
    return f"{alone} {index} " in f"{line} "


def test_status_counts_sounds_from_indexes_only(grown):
    found = plans(grown, growth.ask_status)
    of_sounds = [plan for statement, plan in found.items() if "FROM sounds" in statement]
    used = [
        ["ix_sounds_failed_present"],
        ["ix_sounds_label", "ix_sounds_model_category"],
        ["ix_sounds_review_present"],
    ]
    for plan, indexes in zip(of_sounds, used, strict=True):
        lines = reads(grown, plan, "sounds")
        assert lines
        for line in lines:
            assert any(is_read_alone(grown, line, index) for index in indexes), plan


def test_status_counts_batches_from_indexes_only(grown):
    found = plans(grown, growth.ask_status)
    lines = [line for plan in found.values() for line in reads(grown, plan, "batches")]
    for index in ("ix_batches_counted", "ix_batches_progress"):
        assert any(is_read_alone(grown, line, index) for line in lines), lines
    assert not any("Seq Scan" in line for line in lines), lines
    assert not any("SCAN" in line and "INDEX" not in line for line in lines), lines


@pytest.mark.parametrize(
    ("question", "index"),
    [
        ("results --below 0.6", "ix_sounds_confidence"),
        ("results --needs-review", "ix_sounds_review_present"),
    ],
)
def test_the_order_of_review_is_read_from_an_index(grown, question, index):
    (plan,) = plans(grown, growth.QUESTIONS[question]).values()
    # Sorted is only what is equally sure.
    if grown.dialect.name == "sqlite":
        assert f"USING INDEX {index}" in plan
        assert "TEMP B-TREE FOR ORDER BY" not in plan
    else:
        assert f"Index Scan using {index}" in plan
        assert "Presorted Key: confidence" in plan


def test_a_walk_looks_up_its_rows_by_key(grown):
    def ask(connection):
        find_known(
            connection, [sound_key("library", f"pack/{number}.wav") for number in range(100)]
        )

    (plan,) = plans(grown, ask).values()
    assert re.search(r"(?i)index", plan)
    assert not re.search("Seq Scan|SCAN sounds", plan)
