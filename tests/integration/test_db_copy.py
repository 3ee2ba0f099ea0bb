"""``cratesort db copy``: all of it, both ways, into a database that holds nothing, or nothing."""

import pytest
from sqlalchemy import func, insert, select, text, update

from db.dialects import now
from db.engine import reading
from db.migrate import upgrade
from db.queue import ledger
from db.queue.batch import BatchEntry
from db.results.sounds import sound_key
from db.states import BatchState
from db.tables import batches, ingests, label_history, metadata, models, sounds
from db.tables import training_runs as runs
from db.transfer import CopyError, copy
from tests.support.databases import connected

FOLDER = "/home/me/Samples"
PATHS = [f"{FOLDER}/Acme/kick.wav", f"{FOLDER}/Acme/\udcff pad.wav", "/elsewhere/snare.wav"]


@pytest.fixture
def empty_postgres(postgres_server):
    postgres_server.create_database("copied")
    yield postgres_server.database_url("copied")
    postgres_server.drop_database("copied")


@pytest.fixture(params=["to postgres", "to sqlite"])
def urls(request, sqlite_url, tmp_path):
    """Where from and where to: a database with this version's tables, and one without any."""
    if request.param == "to postgres":
        return sqlite_url, request.getfixturevalue("empty_postgres")
    return request.getfixturevalue("postgres_url"), f"sqlite:///{tmp_path}/copied.db"


def stored(path):
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def sound(path, **more):
    path = stored(path)
    return {
        "key": sound_key("", path),
        "root": "",
        "path": path,
        "pack": "Acme",
        "vendor": "Acme",
        "status": "classified",
        "category": "drum",
        "probabilities": bytes(48),
        "classified_at": now(),
        **more,
    }


@pytest.fixture
def filled(urls):
    """A database with something in each kind of column, and a batch that is being worked on."""
    with connected(urls[0]) as engine, engine.begin() as connection:
        ingest_id = ledger.open_ingest(connection, "a test")
        for path in PATHS:
            ledger.add_batch(connection, ingest_id, "", [BatchEntry(stored(path), "Acme", "Acme")])
            values = sound(path, label="drum", held_out=True, needs_review=False, mtime_ns=2**62)
            connection.execute(insert(sounds).values(**values))
        ledger.take_pending(connection, window=2, limit=2)
        ledger.claim(connection, 1, token="t", worker="a-host:1:a", lease_seconds=60)
        connection.execute(
            insert(label_history).values(
                key=sound_key("", PATHS[0]),
                root="",
                path=PATHS[0],
                category="drum",
                source="human",
                labelled_by="me",
                labelled_at=now(),
            )
        )
        bundle = {"bundle": b"\0\xff" * 1000, "sha256": "0" * 64, "metrics": {"accuracy": 0.5}}
        connection.execute(
            insert(models).values(version="v1", champion=True, created_at=now(), **bundle)
        )
    return urls


def rows_of(url, table):
    with connected(url) as engine, reading(engine) as connection:
        rows = connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
        return [
            {
                name: value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value
                for name, value in row.items()
            }
            for row in rows
        ]


def test_everything_is_copied_unchanged(filled):
    source, target = filled
    done = copy(source, target, roots={})
    assert done.rows["sounds"] == done.without_root == 3
    for table in metadata.sorted_tables:
        if table is not batches:
            assert rows_of(target, table) == rows_of(source, table), table.name


def test_unknown_values_stay_unknown(filled):
    # Given a training run that failed before it knew any size
    source, target = filled
    with connected(source) as engine, engine.begin() as connection:
        connection.execute(
            insert(runs).values(
                trigger="hand",
                state="failed",
                token="t",
                holder="h",
                lease_expires_at=now(),
                seed=0,
                libraries={},
                started_at=now(),
            )
        )
    copy(source, target, roots={})
    # Then the database itself calls it unknown, not a null of JSON
    with connected(target) as engine, reading(engine) as connection:
        unknown = text("SELECT count(*) FROM training_runs WHERE sizes IS NULL")
        assert connection.execute(unknown).scalar_one() == 1


def test_the_innermost_of_nested_roots_counts(filled):
    source, target = filled
    copy(source, target, roots={"home": "/home", "packs": FOLDER, "me": "/home/me"})
    assert {row["root"] for row in rows_of(target, sounds)} == {"", "packs"}


def test_running_batches_are_copied_as_pending(filled):
    source, target = filled
    copy(source, target, roots={})
    assert [row["state"] for row in rows_of(source, batches)] == ["running", "queued", "pending"]
    for before, after in zip(rows_of(source, batches), rows_of(target, batches), strict=True):
        assert after["state"] == BatchState.PENDING
        assert after["token"] is after["worker"] is after["lease_expires_at"] is None
        assert (after["paths"], after["attempts"]) == (before["paths"], before["attempts"])


def test_new_ids_in_the_copy_continue_after_the_largest(filled):
    source, target = filled
    copy(source, target, roots={})
    with connected(target) as engine, engine.begin() as connection:
        assert ledger.open_ingest(connection, "another") == 2
        ledger.add_batch(connection, 2, "", [BatchEntry("/x.wav", "x", "x")])
        assert connection.execute(select(func.max(batches.c.id))).scalar_one() == 4


def test_absolute_paths_below_a_folder_become_relative_to_a_root(filled):
    source, target = filled
    done = copy(source, target, roots={"packs": FOLDER})
    # Then two sounds, their labels and their batches have that root, and one stays as it was
    assert done.without_root == done.waiting_without_root == 1
    by_path = {row["path"]: row for row in rows_of(target, sounds)}
    assert sorted((row["root"], path) for path, row in by_path.items()) == [
        ("", PATHS[2]),
        ("packs", "Acme/" + stored("\udcff pad.wav")),
        ("packs", "Acme/kick.wav"),
    ]
    assert by_path["Acme/kick.wav"]["key"] == sound_key("packs", "Acme/kick.wav")
    (label,) = rows_of(target, label_history)
    assert (label["root"], label["path"]) == ("packs", "Acme/kick.wav")
    assert label["key"] == by_path["Acme/kick.wav"]["key"]
    assert [row["root"] for row in rows_of(target, batches)] == ["packs", "packs", ""]


def test_two_sounds_that_would_become_one_stop_the_copy(filled):
    source, target = filled
    with connected(source) as engine, engine.begin() as connection:
        twin = sound("Acme/kick.wav", root="packs", key=sound_key("packs", "Acme/kick.wav"))
        connection.execute(insert(sounds).values(**twin))
    with pytest.raises(CopyError, match="two sounds would get the same path"):
        copy(source, target, roots={"packs": FOLDER})
    assert rows_of(target, ingests) == rows_of(target, sounds) == []


@pytest.mark.parametrize("table", [ingests, models, runs], ids=lambda table: table.name)
def test_a_target_that_is_not_empty_is_refused(filled, table):
    source, target = filled
    upgrade(target)
    others = {
        "ingests": "INSERT INTO ingests (source, started_at) VALUES ('x', CURRENT_TIMESTAMP)",
        "models": "INSERT INTO models (version, bundle, sha256, metrics, champion, created_at) "
        "VALUES ('x', '', '', '{}', false, CURRENT_TIMESTAMP)",
        "training_runs": "INSERT INTO training_runs (trigger, state, token, holder, "
        "lease_expires_at, seed, libraries, started_at) "
        "VALUES ('hand', 'done', '', '', CURRENT_TIMESTAMP, 0, '{}', CURRENT_TIMESTAMP)",
    }
    with connected(target) as engine, engine.begin() as connection:
        connection.execute(text(others[table.name]))
    with pytest.raises(CopyError, match=f"already has rows \\(in {table.name}\\)"):
        copy(source, target, roots={})


def test_a_source_of_another_revision_is_refused_unchanged(filled):
    source, target = filled
    with connected(source) as engine, engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0005'"))
    with pytest.raises(CopyError, match=r"at revision 0005.*cratesort db upgrade"):
        copy(source, target, roots={})


def test_a_missing_source_is_not_created(urls, tmp_path):
    missing = tmp_path / "missing.db"
    with pytest.raises(CopyError, match=r"the database .* does not exist"):
        copy(f"sqlite:///{missing}", urls[1], roots={})
    assert not missing.exists()


def test_copying_a_database_onto_itself_is_refused(filled):
    with pytest.raises(CopyError, match="the same"):
        copy(filled[0], filled[0], roots={})


def test_more_rows_than_one_chunk_are_copied(urls):
    source, target = urls
    with connected(source) as engine, engine.begin() as connection:
        many = [sound(f"/{number}.wav", classified_at=None) for number in range(2500)]
        for row in many:
            del row["classified_at"]
        connection.execute(insert(sounds).values(classified_at=now()), many)
        connection.execute(update(sounds).values(category="bass"))
    assert copy(source, target, roots={}).rows["sounds"] == 2500
    assert rows_of(target, sounds) == rows_of(source, sounds)
