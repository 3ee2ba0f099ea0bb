"""What ``cratesort status`` puts together itself."""

from classifier import artifact
from cli.status import _starter_version


def test_the_starter_is_called_what_its_manifest_calls_it():
    assert _starter_version() == artifact.starter_version()
