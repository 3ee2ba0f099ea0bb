"""What is known of the starter without loading it."""

from classifier.bundle.load import load_starter
from classifier.bundle.starter import starter_version


def test_the_starter_is_called_what_its_rows_will_say():
    assert starter_version() == load_starter().version
