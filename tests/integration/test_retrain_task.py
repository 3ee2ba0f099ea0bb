"""What wakes the trainer, and does not begin a run. Runs themselves: `test_scheduled_training`."""

import pytest
from pydantic import SecretStr

from tasks import retrain
from workers.settings import Settings


@pytest.mark.parametrize(
    "settings",
    [{"training_new_labels": 1}, {"training_schedule": "off"}],
    ids=["too few new labels", "no schedule"],
)
def test_without_new_labels_the_trainer_begins_no_run(
    database, database_url, settings, monkeypatch
):
    # Given a database without labels, and a run that fails the test if it begins
    settings = Settings(database_url=SecretStr(database_url), **settings)

    def begun(*_, **__):
        pytest.fail("a run was begun")

    monkeypatch.setattr(retrain, "perform", begun)

    # When the trainer is woken
    retrain._retrain(database, settings)
