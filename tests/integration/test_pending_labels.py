"""Labels that come with a path: kept until its sound has a row, and current from then on."""

import pytest
from sqlalchemy import func, select

from db.results import labels, pending_labels, sounds
from db.results.labels import NewLabel
from db.results.sounds import sound_key
from db.states import LABEL_SOURCES
from db.tables import label_history
from tests.support.sound_results import failed, predicted

HUMAN, VENDOR, IMPORT = LABEL_SOURCES


@pytest.fixture
def save(take):
    return lambda *results: take(sounds.save, results)


@pytest.fixture
def write_pending_labels(take):
    """Give these paths these labels before or after their rows are there."""

    def give(by_path, source=IMPORT):
        given = {("library", path): category for path, category in by_path.items()}
        take(pending_labels.write_pending_labels, given, source=source, labelled_by="inbox")

    return give


@pytest.fixture
def current(database):
    """The current labels: path to category, source, and who gave it."""

    def read():
        with database.begin() as connection:
            return {
                one.path: (one.category, one.source, one.labelled_by)
                for one in labels.current(connection)
            }

    return read


@pytest.fixture
def ever_given(database):
    def count():
        with database.begin() as connection:
            query = select(func.count()).select_from(label_history)
            return connection.execute(query).scalar_one()

    return count


@pytest.mark.parametrize("result", [predicted, failed])
def test_a_label_is_current_when_its_sound_has_a_row(write_pending_labels, save, current, result):
    write_pending_labels({"kick.wav": "drum"})
    assert current() == {}
    save(result("kick.wav"), result("pad.wav"))
    assert current() == {"kick.wav": ("drum", IMPORT, "inbox")}


def test_the_label_of_a_known_sound_is_current_at_once(write_pending_labels, save, current):
    save(predicted("kick.wav"))
    write_pending_labels({"kick.wav": "drum", "pad.wav": "synth"})
    assert current() == {"kick.wav": ("drum", IMPORT, "inbox")}


def test_the_later_of_two_labels_before_the_row_counts(
    write_pending_labels, save, current, ever_given
):
    write_pending_labels({"kick.wav": "drum"})
    write_pending_labels({"kick.wav": "bass"})
    save(predicted("kick.wav"))
    assert current() == {"kick.wav": ("bass", IMPORT, "inbox")}
    assert ever_given() == 2


def test_a_repeated_label_adds_history_only_from_another_source(
    write_pending_labels, save, ever_given
):
    for _ in range(2):
        write_pending_labels({"kick.wav": "drum"})
    assert ever_given() == 1
    write_pending_labels({"kick.wav": "drum"}, VENDOR)
    save(predicted("kick.wav"))
    write_pending_labels({"kick.wav": "drum"}, VENDOR)
    assert ever_given() == 2


def test_a_later_result_keeps_the_users_label(write_pending_labels, save, take, current):
    write_pending_labels({"kick.wav": "drum"})
    save(predicted("kick.wav"))
    given = [NewLabel(sound_key("library", "kick.wav"), "bass", HUMAN)]
    take(labels.write_labels, given, labelled_by="ada")
    save(predicted("kick.wav"))
    assert current() == {"kick.wav": ("bass", HUMAN, "ada")}


def test_an_unknown_category_is_refused(write_pending_labels, ever_given):
    with pytest.raises(ValueError, match="expected one of"):
        write_pending_labels({"kick.wav": "drums"})
    assert ever_given() == 0
