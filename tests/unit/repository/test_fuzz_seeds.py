"""The fuzz target itself: that it reaches what it is for, and that what it finds is kept."""

import os
import signal
import time

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.targets import HeaderTarget


@pytest.fixture
def fuzzing(tmp_path, capfd):
    """Fuzz for some seconds; return the exit code, the output and the saved files."""

    def run(seconds):
        code = fuzz.main(
            ["--seed=1", f"--seconds={seconds}", f"--folder={tmp_path / 'saved'}", "--shared=none"]
        )
        printed = capfd.readouterr()
        return code, printed.out + printed.err, sorted(tmp_path.glob("saved/*"))

    return run


def test_one_second_of_fuzzing_reaches_every_container_without_a_finding(fuzzing):
    code, output, saved = fuzzing(1)
    assert (code, saved) == (0, []), output
    assert "containers WAV AIFF FLAC OGG MP3 AU CAF W64 MIDI; findings 0" in output


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "exited with -9"),
        (lambda: time.sleep(600), "hangs for more than"),
        (lambda: 1 / 0, "ZeroDivisionError"),
    ],
    ids=["crash", "hang", "exception"],
)
def test_a_finding_is_saved_and_reported(fuzzing, monkeypatch, harm, reason):
    # Given a reader that fails on one file
    accepts = HeaderTarget.accepts

    def harmful(self, content, n_zeros):
        if content.startswith(b"caff"):
            harm()
        return accepts(self, content, n_zeros)

    monkeypatch.setattr(HeaderTarget, "accepts", harmful)
    monkeypatch.setattr(fuzz, "_TIMEOUT_SECONDS", 0.3)
    # When it is fuzzed
    code, output, saved = fuzzing(1)
    # Then that file is saved and reported with the reason
    assert code == 1
    assert reason in output
    assert "seed 1" in output
    assert all(path.read_bytes().startswith(b"caff") for path in saved)
    assert saved
