"""No telemetry: ONNX Runtime would report to its maker."""

import os
import subprocess
import sys

from tests.support.command_line import clean_environment

LOAD_AND_USE = """
from classifier.bundle.load import load_starter
from classifier.headers.reader import AudioHeader
load_starter().predict(["kick.wav"], [AudioHeader(None, None, None, None, None, None)])
"""


def test_loading_and_using_a_model_writes_nothing_into_the_home(tmp_path):
    # Given a home with nothing in it, and none of the variables that would stop the reports
    environment = clean_environment(tmp_path, {})
    for name in ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS"):
        environment.pop(name, None)

    # When a process loads the starter and classifies with it
    subprocess.run([sys.executable, "-c", LOAD_AND_USE], env=environment, check=True, timeout=60)

    # Then no device id and no queue of events lies there
    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []
