"""What wakes the trainer, and does not begin a run. Runs themselves: `test_scheduled_training`."""

import pytest
from pydantic import SecretStr

from db import training_runs
from db.engine import reading
from tasks.retrain import _retrain
from workers.context import WorkContext
from workers.settings import Settings


@pytest.mark.parametrize(
    "settings",
    [{"training_new_labels": 1}, {"training_schedule": "off"}],
    ids=["too few new labels", "no schedule"],
)
def test_woken_without_a_reason_the_trainer_begins_no_run(database_url, settings):
    # Given a database without labels
    context = WorkContext.create(Settings(database_url=SecretStr(database_url), **settings))

    # When the trainer is woken
    try:
        _retrain(context)

        # Then no run was opened
        with reading(context.database) as connection:
            assert training_runs.latest(connection) is None
    finally:
        context.close()
