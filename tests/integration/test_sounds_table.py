"""The table of sounds: one row a path, a label that outlives results, and what can be asked."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace

import pytest
from sqlalchemy import func, select, update

from classifier.categories import CATEGORIES
from classifier.errors import ErrorCode
from classifier.headers.reader import AudioHeader
from classifier.names.attributes import Attributes, Playback, Source
from db.dialects import now
from db.reporting import counts
from db.results import labels, sounds
from db.results.queries import results
from db.results.sounds import Prediction, SoundResult
from db.states import LabelSource, SoundStatus
from tests.support.databases import connected
from tests.support.sound_results import HEADER, failed, predicted


@pytest.fixture
def save(database):
    def save(*results):
        with database.begin() as connection:
            sounds.save(connection, results)

    return save


@pytest.fixture
def known(database):
    """What a walk learns of paths, by path."""

    def known(*paths, root="library"):
        path_of = {sounds.sound_key(root, path): path for path in paths}
        with database.begin() as connection:
            rows = sounds.find_known(connection, list(path_of))
        return {path_of[key]: row for key, row in rows.items()}

    return known


@pytest.fixture
def ask(database):
    def ask(**narrowed):
        with database.begin() as connection:
            return list(results(connection, **narrowed))

    return ask


def test_a_result_survives_the_round_trip(save, ask):
    save(predicted("a/kick.wav", note="odd"))
    (row,) = ask()
    assert (row.root, row.path, row.pack, row.vendor) == (
        "library", "a/kick.wav", "a pack", "a vendor",
    )  # fmt: skip
    assert (row.category, row.confidence, row.model_version) == ("drum", 0.75, "model-1")
    assert (row.error_code, row.error_message, row.note, row.label) == (None, None, "odd", None)
    assert row.file_size_bytes == HEADER.file_size_bytes
    for name in ("duration_seconds", "sample_rate_hz", "channels", "frame_count", "sample_type"):
        assert getattr(row, name) == getattr(HEADER, name)


def test_attributes_and_evidence_are_stored(save, ask):
    known = Attributes(
        127.5, Source.HEADER, "F# minor", Source.NAME,
        Playback.LOOP, Source.DURATION, "sub bass", Source.FOLDER,
    )  # fmt: skip
    outcome = Prediction(predicted("x").outcome.probabilities, "model-1", evidence="words")
    save(predicted("bass.wav", attributes=known, outcome=outcome))
    (row,) = ask()
    assert tuple(getattr(row, name) for name in sounds.ATTRIBUTES) == astuple(known)
    assert row.evidence == "words"


# Who needs a review


@pytest.fixture
def unsure(ask, database):
    """The paths that need a review; rows, the filter and the count say the same."""

    def unsure():
        paths = [row.path for row in ask() if row.needs_review]
        assert [row.path for row in ask(unsure=True)] == paths
        with database.begin() as connection:
            assert counts.sound_counts(connection).needs_review == len(paths)
        return paths

    return unsure


def said(path, confidence, needs_review):
    """A result whose model says whether it needs a review."""
    outcome = predicted(path, confidence=confidence).outcome
    return predicted(path, outcome=replace(outcome, needs_review=needs_review))


def test_the_models_review_flag_counts_whatever_its_confidence(save, unsure):
    save(said("low and sure.wav", 0.3, False), said("high and unsure.wav", 0.9, True))
    assert unsure() == ["high and unsure.wav"]


def test_a_row_without_a_review_flag_needs_one_below_a_half(save, unsure):
    save(said("a.wav", 0.49, None), said("b.wav", 0.5, None), said("c.wav", 0.9, None))
    assert unsure() == ["a.wav"]


def test_a_failed_sound_has_nothing_to_review(save, unsure):
    save(said("a.wav", 0.3, True))
    save(failed("a.wav"), failed("b.wav"))
    assert unsure() == []


def test_a_labelled_sound_never_needs_a_review(save, unsure, database):
    save(said("a.wav", 0.3, True), said("b.wav", 0.3, None), said("c.wav", 0.3, True))
    assert unsure() == ["a.wav", "b.wav", "c.wav"]
    labels_given = [
        labels.NewLabel(sounds.sound_key("library", path), "bass", LabelSource.HUMAN)
        for path in ("a.wav", "b.wav")
    ]
    with database.begin() as connection:
        labels.write_labels(connection, labels_given, labelled_by="ada")
    assert unsure() == ["c.wav"]
    save(said("a.wav", 0.2, True))
    assert unsure() == ["c.wav"]


def test_a_more_confident_model_clears_the_review_flag(save, unsure):
    save(said("a.wav", 0.3, True))
    save(said("a.wav", 0.9, False))
    assert unsure() == []


def test_low_confidence_results_can_be_filtered_further(save, ask):
    save(said("a.wav", 0.3, True), said("b.wav", 0.6, True), said("c.wav", 0.2, False))
    assert [row.path for row in ask(unsure=True, below=0.5)] == ["a.wav"]


def test_the_review_order_is_by_confidence_and_then_by_path(save, ask):
    save(said("c.wav", 0.3, True), said("b.wav", 0.3, True), said("d.wav", 0.2, True))
    save(said("a.wav", 0.4, True))
    assert [row.path for row in ask(unsure=True)] == ["d.wav", "b.wav", "c.wav", "a.wav"]
    assert [row.path for row in ask(below=0.4)] == ["d.wav", "b.wav", "c.wav"]
    assert [row.path for row in ask()] == ["a.wav", "b.wav", "c.wav", "d.wav"]


def test_the_three_best_categories_are_in_descending_order(save, ask):
    probabilities = tuple(index / 66 for index in range(12))
    save(predicted("kick.wav", outcome=Prediction(probabilities, "model-1")))
    assert [category for category, _ in ask()[0].top3] == list(CATEGORIES[:-4:-1])
    assert [value for _, value in ask()[0].top3] == pytest.approx([11 / 66, 10 / 66, 9 / 66])


@pytest.fixture
def full():
    """A result with something in every column."""
    attributes = Attributes(
        99.0, Source.NAME, "C major", Source.NAME,
        Playback.ONE_SHOT, Source.NAME, "kick", Source.NAME,
    )  # fmt: skip
    probabilities = predicted("x", "bass", 0.4).outcome.probabilities
    return SoundResult(
        root="library",
        path="kick.wav",
        pack="the first pack",
        vendor="the first vendor",
        file_size_bytes=1,
        mtime_ns=1,
        header=AudioHeader(1, 9.0, 8000, 7, 72_000, "PCM_U8"),
        outcome=Prediction(probabilities, "model-0", evidence="words", needs_review=True),
        note="odd",
        attributes=attributes,
    )


def test_a_new_result_overwrites_every_column(save, ask, known, full):
    # Given a sound with a result in every column
    save(full)

    # When it gets another one, and so does a sound that had none
    save(predicted("kick.wav"), predicted("twin.wav"))

    # Then the two rows differ in nothing but their paths
    kick, twin = ask()
    assert replace(kick, path=twin.path, classified_at=twin.classified_at) == twin
    rows = known("kick.wav", "twin.wav")
    assert rows["kick.wav"]._replace(id=0) == rows["twin.wav"]._replace(id=0)


def test_a_failure_keeps_all_known_values(save, ask, full):
    # Given a sound with a result in every column
    save(full)
    (before,) = ask()

    # When its file cannot be read any more
    save(failed("kick.wav"))

    # Then the failure, its pack and its file's new size are stored, and nothing else has changed
    (row,) = ask()
    changed = {"pack": "a pack", "vendor": "a vendor", "file_size_bytes": 1234}
    changed |= {"error_code": "truncated", "error_message": "it is cut", "needs_review": False}
    assert row == replace(before, **changed, classified_at=row.classified_at)


def test_the_note_of_a_failure_replaces_the_earlier_one(save, ask):
    save(predicted("kick.wav", note="odd"))
    save(replace(failed("kick.wav"), note="its own"))
    assert [row.note for row in ask()] == ["its own"]


def test_a_file_that_cannot_be_opened_keeps_the_size_and_time_it_had(save, known):
    save(predicted("kick.wav"))
    missing = failed("kick.wav", ErrorCode.MISSING_FILE)
    save(replace(missing, file_size_bytes=None, mtime_ns=None))
    row = known("kick.wav")["kick.wav"]
    assert (row.file_size_bytes, row.mtime_ns) == (1234, 1_700_000_000_123_456_789)
    assert row.error_code == ErrorCode.MISSING_FILE


def test_a_failed_sound_counts_as_failed(save, ask, database):
    save(predicted("kick.wav"), predicted("other.wav"))
    save(failed("kick.wav"))
    with database.begin() as connection:
        counted = counts.sound_counts(connection)
    assert (counted.classified, counted.failed) == (1, 1)
    assert counted.categories == {"drum": 2}  # filed still
    assert [row.path for row in ask(failed=True)] == ["kick.wav"]


def test_a_repaired_file_loses_its_error(save, ask):
    save(failed("kick.wav"))
    save(predicted("kick.wav"))
    (row,) = ask()
    assert (row.category, row.error_code, row.error_message) == ("drum", None, None)


def test_a_label_is_kept_by_every_result(save, ask, database):
    save(predicted("kick.wav"))
    with database.begin() as connection:
        labelled = {"label": "bass", "label_source": "a person", "labelled_at": now()}
        connection.execute(update(sounds.sounds).values(**labelled))
    save(predicted("kick.wav", category="vocal"))
    save(failed("kick.wav"))
    assert ask()[0].label == "bass"
    with database.begin() as connection:
        table = sounds.sounds.c
        source, at = connection.execute(select(table.label_source, table.labelled_at)).one()
    assert (source, at is not None) == ("a person", True)


def test_one_path_in_two_roots_is_two_sounds(save, ask):
    save(predicted("kick.wav"), predicted("kick.wav", root="other"))
    assert [(row.root, row.path) for row in ask()] == [
        ("library", "kick.wav"),
        ("other", "kick.wav"),
    ]


def test_root_and_path_cannot_be_confused(save, ask):
    assert sounds.sound_key("a", "b/c") != sounds.sound_key("a/b", "c")
    assert len(sounds.sound_key("a", "b")) == 16


@pytest.mark.parametrize(
    "path",
    [
        "n" * 4095,
        "é" * 3000,
        "two\nlines",
        "\\xff",
        "\u202e\U0001f941",
        "'; DROP TABLE sounds",
        "%s",
        'a","b',
        "NULL",
        "{}\\",
        '"\\"',
    ],
    ids=[
        "long",
        "long in UTF-8",
        "newline",
        "escape",
        "beyond the BMP",
        "SQL",
        "format",
        "array",
        "null",
        "braces",
        "quotes",
    ],
)
def test_any_path_is_stored_unchanged_and_found_again(save, ask, known, path):
    save(predicted(path))
    save(predicted(path))
    assert [row.path for row in ask()] == [path]
    assert list(known(path)) == [path]


def test_long_paths_that_differ_at_their_end_are_two_sounds(save, ask):
    save(predicted("n" * 4000 + "a"), predicted("n" * 4000 + "b"))
    assert len(ask()) == 2


def test_known_sounds_have_size_time_and_outcome(save, known):
    save(predicted("kick.wav"), failed("cut.wav"))
    rows = known("kick.wav", "cut.wav", "new.wav")
    assert set(rows) == {"kick.wav", "cut.wav"}
    kick, cut = rows["kick.wav"], rows["cut.wav"]
    assert (kick.file_size_bytes, kick.mtime_ns) == (1234, 1_700_000_000_123_456_789)
    assert (kick.status, kick.error_code) == (SoundStatus.CLASSIFIED, None)
    assert (kick.confidence, kick.model_version) == (0.75, "model-1")
    assert (kick.has_label, kick.is_gone) == (False, False)
    assert (cut.status, cut.error_code) == (SoundStatus.FAILED, ErrorCode.TRUNCATED)
    assert known("kick.wav", root="other") == {}


def test_more_paths_than_fit_one_statement_are_looked_up(save, known, monkeypatch):
    monkeypatch.setattr(sounds, "LOOK_UP_AT_ONCE", 1000)
    paths = [f"{index}.wav" for index in range(2500)]
    save(*[predicted(path) for path in paths])
    assert set(known(*paths)) == set(paths)


def test_results_can_be_filtered(save, ask):
    save(
        predicted("a.wav", "drum", 0.9),
        predicted("b.wav", "drum", 0.4),
        predicted("c.wav", "bass", 0.3),
        failed("d.wav"),
    )

    def paths(**narrowed):
        return [row.path for row in ask(**narrowed)]

    assert paths() == ["a.wav", "b.wav", "c.wav", "d.wav"]
    assert paths(category="drum") == ["a.wav", "b.wav"]
    assert paths(below=0.5) == ["c.wav", "b.wav"]
    assert paths(category="drum", below=0.5) == ["b.wav"]
    assert paths(failed=True) == ["d.wav"]
    assert paths(category="vocal") == []


def test_writing_no_rows_is_accepted(save, ask):
    save()
    assert ask() == []


def test_overlapping_batches_do_not_deadlock(database_url):
    # Given the same sounds in opposite order
    paths = [f"{index}.wav" for index in range(300)]
    start = threading.Barrier(2)

    def write(order):
        with connected(database_url) as engine:
            start.wait()
            for _ in range(5):
                with engine.begin() as connection:
                    sounds.save(connection, [predicted(path) for path in order])

    # When both are written at once, again and again
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(write, paths), pool.submit(write, paths[::-1])]:
            done.result()

    # Then no writer deadlocked, and each sound has one row
    with connected(database_url) as engine, engine.begin() as connection:
        count = connection.execute(select(func.count()).select_from(sounds.sounds)).scalar_one()
    assert count == 300
