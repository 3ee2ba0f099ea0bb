"""The fuzz target itself: that it reaches what it is for, and that what it finds is kept."""

import os
import signal
import time

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.targets import HeaderTarget


@pytest.fixture
def fuzzing(tmp_path, capfd):
    """Fuzz for a moment; what it exits with, what it says, and the files it keeps."""

    def run(seconds):
        code = fuzz.main(
            ["--seed=1", f"--seconds={seconds}", f"--folder={tmp_path / 'kept'}", "--shared=none"]
        )
        said = capfd.readouterr()
        return code, said.out + said.err, sorted(tmp_path.glob("kept/*"))

    return run


def test_one_second_of_fuzzing_reaches_every_container_without_a_finding(fuzzing):
    code, said, kept = fuzzing(1)
    assert (code, kept) == (0, []), said
    assert "containers WAV AIFF FLAC OGG MP3 AU CAF W64 MIDI; findings 0" in said


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "ended with -9"),
        (lambda: time.sleep(600), "no end after"),
        (lambda: 1 / 0, "ZeroDivisionError"),
    ],
    ids=["crash", "hang", "exception"],
)
def test_a_finding_is_saved_and_reported(fuzzing, monkeypatch, harm, why):
    # Given a reader that one file does harm to
    accepts = HeaderTarget.accepts

    def harmful(self, content, n_zeros):
        if content.startswith(b"caff"):
            harm()
        return accepts(self, content, n_zeros)

    monkeypatch.setattr(HeaderTarget, "accepts", harmful)
    monkeypatch.setattr(fuzz, "_PATIENCE_SECONDS", 0.3)
    # When it is fuzzed
    code, said, kept = fuzzing(1)
    # Then that file is kept, and said to be what it died of
    assert code == 1
    assert why in said
    assert "seed 1" in said
    assert all(path.read_bytes().startswith(b"caff") for path in kept)
    assert kept
