"""What is known of the starter without loading it."""

from classifier.bundle.load import load_starter
from classifier.bundle.starter import starter_version


def test_the_starter_version_is_the_model_version_of_its_rows():
    assert starter_version() == load_starter().version
