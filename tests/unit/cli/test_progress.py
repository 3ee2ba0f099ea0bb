"""How long a computation will still take, as its progress tells it."""

import sys
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.file_proxy import FileProxy

from cli.console import progress
from cli.console.output import tell


@pytest.mark.parametrize(
    ("elapsed_seconds", "done", "total", "told"),
    [
        (10, 1, 4, "30 s left"),
        (0.01, 99, 100, "1 s left"),
        (60, 1, 3, "2 min left"),
        (600, 1, 20, "3 h 10 min left"),
        (10, 1, 21, ""),
        (10, 0, 4, ""),
        (10, 4, 4, ""),
    ],
)
def test_the_remaining_time_is_estimated_from_the_speed_so_far(elapsed_seconds, done, total, told):
    assert progress.time_left(elapsed_seconds, done, total) == told


def test_a_message_during_progress_gets_a_separate_line(monkeypatch):
    """What rich puts in place of standard error while a display is drawn sees it."""
    display = StringIO()
    monkeypatch.setattr(sys, "stderr", FileProxy(Console(file=display), sys.__stderr__))
    tell("warning: Redis is away")
    assert display.getvalue() == "warning: Redis is away\n"


def test_without_a_terminal_a_line_states_the_remaining_time_of_the_phase(capsys, monkeypatch):
    # Given a first step that took 30 seconds
    moments = iter([100.0, 130.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    with progress.shown_phases() as show:
        show("fitting", 0, 5)
        show("fitting", 1, 5)
    # Then the other four are expected to take as long each
    assert capsys.readouterr().err.splitlines() == [
        "fitting: 0 of 5",
        "fitting: 1 of 5, 2 min left",
    ]
