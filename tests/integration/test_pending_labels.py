"""Labels that come with a path: kept until its sound has a row, and current from then on."""

import pytest
from sqlalchemy import func, select

from db.results import labels, pending_labels, sounds
from db.results.labels import GivenLabel
from db.results.sounds import sound_key
from db.states import GIVEN_SOURCES
from db.tables import label_history
from tests.support.sound_results import failed, predicted

HUMAN, VENDOR, IMPORT = GIVEN_SOURCES


@pytest.fixture
def save(take):
    return lambda *results: take(sounds.save, results)


@pytest.fixture
def give_early(take):
    """Give these paths these labels before or after their rows are there."""

    def give(by_path, source=IMPORT):
        given = {("library", path): category for path, category in by_path.items()}
        take(pending_labels.give_early, given, source=source, labelled_by="inbox")

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
def test_a_label_is_current_when_its_sound_has_a_row(give_early, save, current, result):
    give_early({"kick.wav": "drum"})
    assert current() == {}
    save(result("kick.wav"), result("pad.wav"))
    assert current() == {"kick.wav": ("drum", IMPORT, "inbox")}


def test_the_label_of_a_known_sound_is_current_at_once(give_early, save, current):
    save(predicted("kick.wav"))
    give_early({"kick.wav": "drum", "pad.wav": "synth"})
    assert current() == {"kick.wav": ("drum", IMPORT, "inbox")}


def test_of_two_labels_before_the_row_the_later_counts(give_early, save, current, ever_given):
    give_early({"kick.wav": "drum"})
    give_early({"kick.wav": "bass"})
    save(predicted("kick.wav"))
    assert current() == {"kick.wav": ("bass", IMPORT, "inbox")}
    assert ever_given() == 2


def test_the_same_again_leaves_no_trace_but_from_another_source(give_early, save, ever_given):
    for _ in range(2):
        give_early({"kick.wav": "drum"})
    assert ever_given() == 1
    give_early({"kick.wav": "drum"}, VENDOR)
    save(predicted("kick.wav"))
    give_early({"kick.wav": "drum"}, VENDOR)
    assert ever_given() == 2


def test_a_later_result_leaves_a_person_s_label_alone(give_early, save, take, current):
    give_early({"kick.wav": "drum"})
    save(predicted("kick.wav"))
    given = [GivenLabel(sound_key("library", "kick.wav"), "bass", HUMAN)]
    take(labels.give, given, labelled_by="ada")
    save(predicted("kick.wav"))
    assert current() == {"kick.wav": ("bass", HUMAN, "ada")}


def test_an_unknown_category_is_refused(give_early, ever_given):
    with pytest.raises(ValueError, match="expected one of"):
        give_early({"kick.wav": "drums"})
    assert ever_given() == 0
