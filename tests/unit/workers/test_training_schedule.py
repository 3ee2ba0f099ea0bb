"""The schedule of training: what is one, and which of its moments a wake-up call is about."""

from datetime import UTC, datetime, timedelta

import pytest

from workers.celery_ext.app import configuration
from workers.settings import ConfigurationError, Settings, load_settings
from workers.training_schedule import parse_schedule, slot_at


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def slot(schedule, moment):
    return slot_at(parse_schedule(schedule), at(moment))


@pytest.mark.parametrize("seconds", [-40, -3, 0, 3, 40, 3600])
def test_an_early_or_late_message_belongs_to_the_nearest_slot(seconds):
    due = at("2024-02-28 03:00")
    moment = due + timedelta(seconds=seconds)
    assert slot_at(parse_schedule("0 3 * * *"), moment) == "2024-02-28T03:00+00:00"


def test_every_scheduled_time_has_its_own_slot():
    slots = {slot("0 3 * * *", f"2024-02-{day} 03:00:01") for day in (27, 28, 29)}
    assert len(slots) == 3


@pytest.mark.parametrize("moment", ["2024-05-05 10:19:31", "2024-05-05 10:20:29"])
def test_a_schedule_by_the_minute_has_a_slot_per_minute(moment):
    assert slot("* * * * *", moment) == "2024-05-05T10:20+00:00"


@pytest.mark.parametrize(
    ("schedule", "moment", "expected"),
    [
        ("30 4 * * 1", "2024-05-06 04:30:02", "2024-05-06T04:30"),  # a Monday
        ("0 0 1 * *", "2024-02-29 23:59:58", "2024-03-01T00:00"),
        ("0 0 29 2 *", "2023-01-01 00:00:00", "2024-02-29T00:00"),
        ("0 1,13 * * sun", "2024-05-05 12:59:59", "2024-05-05T13:00"),
        ("15 */6 * * *", "2024-12-31 23:59:59", "2025-01-01T00:15"),
    ],
)
def test_the_nearest_slot_is_found_across_days_months_and_years(schedule, moment, expected):
    assert slot(schedule, moment) == f"{expected}+00:00"


@pytest.mark.parametrize("text", ["off", "OFF"])
def test_with_the_schedule_off_beat_sends_only_sweeps(text):
    assert parse_schedule(text) is None
    assert list(configuration(Settings(training_schedule=text))["beat_schedule"]) == ["sweep"]


def test_beat_wakes_the_trainer_on_its_own_queue_with_a_message_that_ends():
    entry = configuration(Settings(training_schedule="5 4 * * *"))["beat_schedule"]["retrain"]
    assert (entry["task"], entry["options"]["queue"]) == ("tasks.retrain", "training")
    assert (entry["schedule"].hour, entry["schedule"].minute) == ({4}, {5})
    assert entry["options"]["expires"] > 0


@pytest.mark.parametrize(
    "text",
    ["daily", "0 3 * *", "0 3 * * * *", "60 3 * * *", "0 24 * * *", "0 3 31 2 *", "a b c d e"],
)
def test_an_invalid_schedule_is_reported_with_its_setting(text, monkeypatch):
    monkeypatch.setenv("CRATESORT_TRAINING_SCHEDULE", text)
    with pytest.raises(ConfigurationError, match=r"five crontab fields in UTC.*got"):
        load_settings()


def test_spaces_in_a_schedule_do_not_matter(monkeypatch):
    monkeypatch.setenv("CRATESORT_TRAINING_SCHEDULE", " 0  3 * *   * ")
    assert load_settings().training_schedule == "0 3 * * *"
