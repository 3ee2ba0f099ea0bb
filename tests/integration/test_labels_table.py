"""Labels in the database: given, replaced, kept, read by training, and counted."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from db.queue.root_names import roots
from db.reporting.label_counts import CategoryCount, label_counts
from db.results import labels, sounds, training_rows
from db.results.labels import LabelChanges, NewLabel, UnknownSoundError
from db.results.sounds import sound_key
from db.states import LABEL_SOURCES
from db.tables import label_history
from tests.support.databases import connected
from tests.support.sound_results import HEADER, failed, predicted

HUMAN, VENDOR, IMPORT = LABEL_SOURCES


def given_labels(by_path, source=HUMAN):
    return [
        NewLabel(sound_key("library", path), category, source) for path, category in by_path.items()
    ]


@pytest.fixture
def save(take):
    return lambda *results: take(sounds.save, results)


@pytest.fixture
def give(take):
    """Give these paths these labels: ``give({"kick.wav": "drum"})``."""

    def give(by_path, source=HUMAN, by="ada"):
        return take(labels.write_labels, given_labels(by_path, source), labelled_by=by)

    return give


@pytest.fixture
def current(database):
    """The current labels by path."""

    def read():
        with database.begin() as connection:
            return {label.path: label for label in labels.current(connection)}

    return read


@pytest.fixture
def history(database):
    """What the history tells, in the order it was written."""

    def read():
        table = label_history.c
        query = select(table.path, table.category, table.source, table.labelled_by)
        with database.begin() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(table.id))]

    return read


@pytest.fixture
def read_all(take):
    """All labelled sounds, in pages of two."""

    def read():
        found = []
        while page := take(training_rows.labelled_after, found[-1].id if found else 0, 2):
            found += page
        return found

    return read


# Giving


def test_a_label_has_its_source_user_and_time(save, give, current, history, database):
    save(predicted("kick.wav", "bass"))
    assert give({"kick.wav": "drum"}, VENDOR, "ada") == LabelChanges(new=1)
    label = current()["kick.wav"]
    assert (label.root, label.category, label.source, label.labelled_by) == (
        "library", "drum", VENDOR, "ada",
    )  # fmt: skip
    assert history() == [("kick.wav", "drum", "vendor", "ada")]
    with database.begin() as connection:
        row = connection.execute(select(label_history)).one()
    assert (bytes(row.key), row.root) == (sound_key("library", "kick.wav"), "library")
    assert row.labelled_at == label.labelled_at


def test_a_later_label_replaces_the_earlier_which_stays_in_the_history(
    save, give, current, history
):
    save(predicted("kick.wav"))
    give({"kick.wav": "drum"}, IMPORT, "ada")
    assert give({"kick.wav": "bass"}, HUMAN, "bob") == LabelChanges(replaced=1)
    assert (current()["kick.wav"].category, current()["kick.wav"].labelled_by) == ("bass", "bob")
    assert history() == [
        ("kick.wav", "drum", "import", "ada"),
        ("kick.wav", "bass", "human", "bob"),
    ]


def test_the_same_label_from_the_same_source_adds_no_history(save, give, current, history):
    save(predicted("kick.wav"))
    give({"kick.wav": "drum"}, HUMAN, "ada")
    before = current()
    assert give({"kick.wav": "drum"}, HUMAN, "bob") == LabelChanges(unchanged=1)
    assert current() == before
    assert len(history()) == 1


def test_the_same_label_from_another_source_is_written(save, give, current, history):
    save(predicted("kick.wav"))
    give({"kick.wav": "drum"}, IMPORT)
    assert give({"kick.wav": "drum"}, HUMAN) == LabelChanges(replaced=1)
    assert current()["kick.wav"].source == HUMAN
    assert len(history()) == 2


def test_an_earlier_label_can_come_back(save, give, current, history):
    save(predicted("kick.wav"))
    for category in ("drum", "bass", "drum"):
        give({"kick.wav": category})
    assert current()["kick.wav"].category == "drum"
    assert [category for _, category, _, _ in history()] == ["drum", "bass", "drum"]


def test_labels_are_assigned_to_their_sounds_only(save, give, current):
    save(*[predicted(f"{name}.wav") for name in "abcd"], predicted("a.wav", root="other"))
    wanted = {"a.wav": "drum", "b.wav": "bass", "d.wav": "vocal"}
    assert give(wanted) == LabelChanges(new=3)
    assert {path: label.category for path, label in current().items()} == wanted
    assert current()["a.wav"].root == "library"


def test_more_labels_than_fit_one_statement_are_written(save, give, current, monkeypatch):
    monkeypatch.setattr(labels, "LABELS_AT_ONCE", 7)
    wanted = {f"{index}.wav": ("drum", "bass")[index % 2] for index in range(50)}
    save(*map(predicted, wanted))
    give({"3.wav": "vocal", "4.wav": "drum"})
    assert give(wanted) == LabelChanges(new=48, replaced=1, unchanged=1)
    assert {path: label.category for path, label in current().items()} == wanted


def test_a_sound_without_a_row_is_refused(save, give, current, history):
    save(predicted("kick.wav"))
    with pytest.raises(UnknownSoundError, match=r"1 of the sounds .* ingest them first"):
        give({"kick.wav": "drum", "new.wav": "drum"})
    assert current() == {}
    assert history() == []


def test_an_unknown_category_is_not_a_label(save, give, current):
    save(predicted("kick.wav"))
    with pytest.raises(ValueError, match="unknown category 'Drum'"):
        give({"kick.wav": "Drum"})


def test_two_labels_for_one_sound_are_refused(save, take):
    save(predicted("kick.wav"))
    twice = given_labels({"kick.wav": "drum"}) + given_labels({"kick.wav": "bass"})
    with pytest.raises(ValueError, match="one label per sound"):
        take(labels.write_labels, twice, labelled_by="ada")


def test_writing_no_labels_is_accepted(give):
    assert give({}) == LabelChanges()


def test_concurrent_labels_of_one_sound_are_both_in_the_history(
    save, database_url, current, history
):
    # Given the same sounds in two orders
    paths = [f"{index}.wav" for index in range(200)]
    save(*map(predicted, paths))
    start = threading.Barrier(3)

    def label(order, category):
        with connected(database_url) as engine:
            start.wait()
            with engine.begin() as connection:
                wanted = given_labels(dict.fromkeys(order, category))
                return labels.write_labels(connection, wanted, labelled_by=category)

    def classify():
        with connected(database_url) as engine:
            start.wait()
            with engine.begin() as connection:
                sounds.save(connection, [predicted(path, "synth") for path in paths])

    # When both label them while a worker writes their results
    with ThreadPoolExecutor(3) as pool:
        runs = [
            pool.submit(label, paths, "drum"),
            pool.submit(label, paths[::-1], "bass"),
            pool.submit(classify),
        ]
        for run in runs:
            run.result()

    # Then one came first with all, the other replaced all, and the last word is the current one
    assert Counter(category for _, category, _, _ in history()) == {"drum": 200, "bass": 200}
    last = history()[-1][1]
    assert {label.category for label in current().values()} == {last}


# What a label outlives


def test_a_new_result_keeps_label_and_holdout(save, give, current, read_all, take):
    save(predicted("kick.wav", "bass"))
    give({"kick.wav": "drum"})
    before = current()
    take(training_rows.freeze_holdout, {read_all()[0].id: True})
    for result in (
        predicted("kick.wav", "vocal", vendor="another vendor"),
        failed("kick.wav"),
        predicted("kick.wav", "drum"),
    ):
        save(result)
        assert current() == before
        (sound,) = read_all()
        assert (sound.label, sound.held_out, sound.vendor) == ("drum", True, result.vendor)


def test_a_sound_that_failed_can_be_labelled(save, give, read_all):
    save(failed("cut.wav"))
    give({"cut.wav": "drum"})
    (sound,) = read_all()
    assert (sound.label, sound.header.sample_type) == ("drum", None)


# Reading for training


def test_training_reads_complete_labelled_sounds_in_id_order(save, give, read_all):
    save(*[predicted(f"pack/{name}.wav", "vocal") for name in "abcdefg"])
    give({f"pack/{name}.wav": "drum" for name in "gecba"}, VENDOR)
    found = read_all()
    assert sorted(sound.path for sound in found) == [f"pack/{name}.wav" for name in "abceg"]
    assert [sound.id for sound in found] == sorted({sound.id for sound in found})
    first = min(found, key=lambda sound: sound.path)
    assert (first.root, first.name, first.pack, first.vendor) == (
        "library", "a.wav", "a pack", "a vendor",
    )  # fmt: skip
    assert (first.header, first.label, first.source) == (HEADER, "drum", VENDOR)
    assert first.held_out is None


def test_without_labels_training_reads_nothing(save, read_all):
    save(predicted("kick.wav"))
    assert read_all() == []


def test_the_holdout_is_decided_once(save, give, read_all, take):
    save(*[predicted(f"{name}.wav") for name in "abc"])
    give({f"{name}.wav": "drum" for name in "abc"})
    a, b, c = (sound.id for sound in read_all())
    assert take(training_rows.freeze_holdout, {a: True, b: False}) == 2
    assert take(training_rows.freeze_holdout, {a: False, b: True, c: True}) == 1
    assert [sound.held_out for sound in read_all()] == [True, False, True]


def test_a_new_label_does_not_change_the_holdout(save, give, read_all, take):
    save(predicted("kick.wav"))
    give({"kick.wav": "drum"})
    take(training_rows.freeze_holdout, {read_all()[0].id: True})
    give({"kick.wav": "bass"})
    assert read_all()[0].held_out is True


def test_labels_since_the_last_run_are_counted(save, give, take):
    save(*[predicted(f"{name}.wav") for name in "abc"])
    assert take(training_rows.last_label_id) == 0
    give({"a.wav": "drum"})
    seen = take(training_rows.last_label_id)
    assert take(training_rows.labels_since, seen) == 0
    give({"a.wav": "bass", "b.wav": "drum"})
    give({"b.wav": "drum"})
    assert take(training_rows.labels_since, seen) == 2
    assert take(training_rows.labels_since, 0) == 3


def test_reading_labels_in_id_order_uses_the_index_of_labels(save, give, database):
    save(*[predicted(f"{index}.wav") for index in range(3000)])
    give({"7.wav": "drum"})
    query = "SELECT id FROM sounds WHERE label IS NOT NULL AND id > 5 ORDER BY id LIMIT 10"
    sqlite = database.dialect.name == "sqlite"
    with database.begin() as connection:
        connection.execute(text("ANALYZE sounds"))
        explain = "EXPLAIN QUERY PLAN" if sqlite else "EXPLAIN"
        plan = "\n".join(str(tuple(row)) for row in connection.execute(text(f"{explain} {query}")))
    assert "ix_sounds_labelled" in plan


# Counting


def test_labels_are_counted_by_category_source_and_vendor(save, give, take, read_all):
    save(
        predicted("a.wav", "drum", vendor="Acme"),
        predicted("b.wav", "bass", vendor="Acme"),
        predicted("c.wav", "vocal", vendor="Umbrella"),
        failed("d.wav"),
        predicted("unlabelled.wav", "drum"),
    )
    give({"a.wav": "bass"})
    give({"a.wav": "drum", "b.wav": "drum", "c.wav": "vocal"})
    give({"d.wav": "drum"}, IMPORT)
    take(training_rows.freeze_holdout, {read_all()[0].id: True, read_all()[1].id: False})
    labelled = take(label_counts)
    assert (labelled.labelled, labelled.compared, labelled.agreeing) == (4, 3, 2)
    assert (labelled.held_out, labelled.undecided, labelled.history) == (1, 2, 5)
    assert labelled.categories == {"drum": CategoryCount(3, 2, 1), "vocal": CategoryCount(1, 1, 1)}
    assert list(labelled.sources.items()) == [("human", 3), ("import", 1)]
    assert list(labelled.vendors.items()) == [("Acme", 2), ("Umbrella", 1), ("a vendor", 1)]


def test_without_labels_all_counts_are_zero(save, take):
    save(predicted("kick.wav"))
    labelled = take(label_counts)
    assert (labelled.labelled, labelled.history, labelled.categories) == (0, 0, {})


# Roots


def test_known_roots_are_those_of_ingested_sounds(add_batches, take):
    assert take(roots) == []
    add_batches(1, 1)
    assert take(roots) == ["library"]


def test_existing_keys_are_distinguished_from_unknown_ones(save, take, monkeypatch):
    monkeypatch.setattr(sounds, "LOOK_UP_AT_ONCE", 3)
    paths = [f"{index}.wav" for index in range(10)]
    save(*map(predicted, paths))
    keys = {sound_key("library", path) for path in paths}
    asked = [*keys, *(sound_key("other", path) for path in paths)]
    assert take(sounds.known_keys, asked) == keys
