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
def ask(database):
    def ask(**narrowed):
        with database.begin() as connection:
            return list(results(connection, **narrowed))

    return ask


def test_what_is_written_is_what_is_read(save, ask):
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


def test_by_products_and_evidence_are_kept_and_a_failure_takes_them_away(save, ask):
    known = Attributes(
        127.5, Source.HEADER, "F# minor", Source.NAME,
        Playback.LOOP, Source.DURATION, "sub bass", Source.FOLDER,
    )  # fmt: skip
    outcome = Prediction(predicted("x").outcome.probabilities, "model-1", evidence="words")
    save(predicted("bass.wav", attributes=known, outcome=outcome))
    (row,) = ask()
    assert tuple(getattr(row, name) for name in sounds.ATTRIBUTES) == astuple(known)
    assert row.evidence == "words"

    save(failed("bass.wav"))
    (row,) = ask()
    assert {getattr(row, name) for name in sounds.ATTRIBUTES} == {None}
    assert row.evidence is None


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


def test_the_model_says_what_needs_a_review_whatever_its_confidence(save, unsure):
    save(said("low and sure.wav", 0.3, False), said("high and unsure.wav", 0.9, True))
    assert unsure() == ["high and unsure.wav"]


def test_a_row_that_says_nothing_needs_a_review_below_a_half(save, unsure):
    save(said("a.wav", 0.49, None), said("b.wav", 0.5, None), said("c.wav", 0.9, None))
    assert unsure() == ["a.wav"]


def test_a_failed_sound_has_nothing_to_review(save, unsure):
    save(said("a.wav", 0.3, True))
    save(failed("a.wav"), failed("b.wav"))
    assert unsure() == []


def test_a_sound_with_a_label_needs_a_review_no_longer_and_stays_so(save, unsure, database):
    save(said("a.wav", 0.3, True), said("b.wav", 0.3, None), said("c.wav", 0.3, True))
    assert unsure() == ["a.wav", "b.wav", "c.wav"]
    labels_given = [
        labels.GivenLabel(sounds.sound_key("library", path), "bass", LabelSource.HUMAN)
        for path in ("a.wav", "b.wav")
    ]
    with database.begin() as connection:
        labels.give(connection, labels_given, labelled_by="ada")
    assert unsure() == ["c.wav"]
    save(said("a.wav", 0.2, True))
    assert unsure() == ["c.wav"]


def test_a_surer_model_takes_the_review_away(save, unsure):
    save(said("a.wav", 0.3, True))
    save(said("a.wav", 0.9, False))
    assert unsure() == []


def test_unsure_sounds_can_be_narrowed_further(save, ask):
    save(said("a.wav", 0.3, True), said("b.wav", 0.6, True), said("c.wav", 0.2, False))
    assert [row.path for row in ask(unsure=True, below=0.5)] == ["a.wav"]


def test_the_order_of_review_is_the_least_sure_first_and_then_by_path(save, ask):
    save(said("c.wav", 0.3, True), said("b.wav", 0.3, True), said("d.wav", 0.2, True))
    save(said("a.wav", 0.4, True))
    assert [row.path for row in ask(unsure=True)] == ["d.wav", "b.wav", "c.wav", "a.wav"]
    assert [row.path for row in ask(below=0.4)] == ["d.wav", "b.wav", "c.wav"]
    assert [row.path for row in ask()] == ["a.wav", "b.wav", "c.wav", "d.wav"]


def test_the_three_best_come_in_falling_order(save, ask):
    probabilities = tuple(index / 66 for index in range(12))
    save(predicted("kick.wav", outcome=Prediction(probabilities, "model-1")))
    assert [category for category, _ in ask()[0].top3] == list(CATEGORIES[:-4:-1])
    assert [value for _, value in ask()[0].top3] == pytest.approx([11 / 66, 10 / 66, 9 / 66])


def test_a_second_visit_replaces_all_the_first_said(save, ask, database):
    save(predicted("kick.wav", note="odd"))
    save(failed("kick.wav"))
    (row,) = ask()
    assert (row.error_code, row.error_message) == ("truncated", "it is cut")
    assert (row.category, row.confidence, row.top3, row.model_version) == (None, None, (), None)
    assert (row.duration_seconds, row.sample_type, row.note) == (None, None, None)


@pytest.mark.parametrize("last", [predicted, failed], ids=["classified", "failed"])
def test_of_an_earlier_result_nothing_is_left_in_any_column(save, ask, database, last):
    # Given a sound with a result in every column
    attributes = Attributes(
        99.0, Source.NAME, "C major", Source.NAME,
        Playback.ONE_SHOT, Source.NAME, "kick", Source.NAME,
    )  # fmt: skip
    probabilities = predicted("x", "bass", 0.4).outcome.probabilities
    first = SoundResult(
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
    save(first)

    # When it gets another one, and so does a sound that had none
    save(last("kick.wav"), last("twin.wav"))

    # Then the two rows differ in nothing but their paths
    kick, twin = ask()
    assert replace(kick, path=twin.path, classified_at=twin.classified_at) == twin
    with database.begin() as connection:
        known = sounds.known(connection, "library", ["kick.wav", "twin.wav"])
    assert known["kick.wav"] == known["twin.wav"]


def test_a_mended_file_loses_its_error(save, ask):
    save(failed("kick.wav"))
    save(predicted("kick.wav"))
    (row,) = ask()
    assert (row.category, row.error_code, row.error_message) == ("drum", None, None)


def test_a_label_outlives_every_result(save, ask, database):
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
def test_any_path_is_kept_as_it_is_and_found_again(save, ask, database, path):
    save(predicted(path))
    save(predicted(path))
    assert [row.path for row in ask()] == [path]
    with database.begin() as connection:
        assert list(sounds.known(connection, "library", [path])) == [path]


def test_long_paths_that_differ_at_their_end_are_two_sounds(save, ask):
    save(predicted("n" * 4000 + "a"), predicted("n" * 4000 + "b"))
    assert len(ask()) == 2


def test_what_is_known_tells_size_time_and_outcome(save, database):
    save(predicted("kick.wav"), failed("cut.wav"))
    with database.begin() as connection:
        known = sounds.known(connection, "library", ["kick.wav", "cut.wav", "new.wav"])
        elsewhere = sounds.known(connection, "other", ["kick.wav"])
    assert set(known) == {"kick.wav", "cut.wav"}
    assert known["kick.wav"].file_size_bytes == 1234
    assert known["kick.wav"].mtime_ns == 1_700_000_000_123_456_789
    assert (known["kick.wav"].status, known["kick.wav"].error_code) == (
        SoundStatus.CLASSIFIED,
        None,
    )
    assert (known["kick.wav"].confidence, known["kick.wav"].model_version) == (0.75, "model-1")
    assert known["cut.wav"].status is SoundStatus.FAILED
    assert known["cut.wav"].error_code is ErrorCode.TRUNCATED
    assert elsewhere == {}


def test_more_paths_than_one_statement_takes_are_looked_up(save, database, monkeypatch):
    monkeypatch.setattr(sounds, "LOOK_UP_AT_ONCE", 1000)
    paths = [f"{index}.wav" for index in range(2500)]
    save(*[predicted(path) for path in paths])
    with database.begin() as connection:
        assert set(sounds.known(connection, "library", paths)) == set(paths)


def test_results_can_be_narrowed(save, ask):
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


def test_writing_nothing_is_no_fault(save, ask):
    save()
    assert ask() == []


def test_batches_that_overlap_do_not_lock_each_other_out(database_url):
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

    # Then nobody deadlocked, and each has one row
    with connected(database_url) as engine, engine.begin() as connection:
        count = connection.execute(select(func.count()).select_from(sounds.sounds)).scalar_one()
    assert count == 300
