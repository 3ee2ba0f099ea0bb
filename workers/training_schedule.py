"""The training schedule: a crontab text in UTC, and the slot that a message belongs to."""

from datetime import UTC, datetime, time, timedelta
from typing import Final

from celery.schedules import ParseException, crontab

#: The value that turns scheduled training off.
OFF: Final = "off"

#: A given weekday falls on 29 February at least once in 40 years.
_SEARCH_DAYS: Final = 41 * 366


def parse_schedule(text: str) -> crontab | None:
    """Parse five crontab fields; None for ``off``. Raises ValueError with the reason."""
    if text.lower() == OFF:
        return None
    try:
        schedule = crontab.from_string(text)
    except (ValueError, ParseException):
        raise ValueError(
            "expected off, or five crontab fields in UTC: minute (0-59), hour (0-23), day of month "
            f"(1-31), month (1-12), day of week (0-6 or sun-sat), as in 0 3 * * *, got {text!r}"
        ) from None
    if _due(schedule, datetime(2000, 1, 1, tzinfo=UTC), forwards=True) is None:
        raise ValueError(
            f"expected days that exist (day of month and day of week must both match), got {text!r}"
        )
    return schedule


def slot_at(schedule: crontab, moment: datetime) -> str:
    """Return the scheduled time that is nearest to `moment`, as a training run's slot.

    Nearest, not latest: a beat whose clock is seconds ahead sends its message before the scheduled
    time by the database's clock. `moment` has a time zone.
    """
    before = _due(schedule, moment, forwards=False)
    after = _due(schedule, moment, forwards=True)
    if before is None or after is None:
        raise ValueError(f"the schedule {schedule} has no time around {moment}")
    nearest = before if moment - before <= after - moment else after
    return nearest.isoformat(timespec="minutes")


def _due(schedule: crontab, moment: datetime, *, forwards: bool) -> datetime | None:
    """Return the first moment after `moment`, or the last one that is not after it."""
    times = [time(hour, minute) for hour in schedule.hour for minute in schedule.minute]
    times.sort(reverse=not forwards)
    for days in range(_SEARCH_DAYS):
        day = moment.date() + timedelta(days=days if forwards else -days)
        if not (
            day.month in schedule.month_of_year
            and day.day in schedule.day_of_month
            and day.isoweekday() % 7 in schedule.day_of_week  # crontab's Sunday is 0
        ):
            continue
        for at in times:
            due = datetime.combine(day, at, UTC)
            if (due > moment) == forwards:
                return due
    return None
