"""Names that forge lines or drive terminals: never raw in a log or in the output of a command."""

import json

import pytest
import redis

from tests.support.fleet import SHIMMED, SUPERVISOR_ALONE
from tests.support.servers.lifecycle import wait_until

#: Colour, a line of one's own, text turned round, the bell, and colour again in one character.
HOSTILE = ("\x1b[31m", "\n2026 ERROR forged", "\u202e", "\x07", "\x9b31m")

COMMANDS = (
    ("doctor",),
    ("health",),
    ("status",),
    ("results",),
    ("results", "--failed"),
    ("ingest", "--wait"),
    ("ingest", "--no-wait"),
    ("retry", "--failed", "--no-wait"),
    ("retry", "--failed", "--wait"),
)

#: Logs everything, and requeues crashed batches at once.
TALKATIVE = SUPERVISOR_ALONE | {"CRATESORT_LOG_LEVEL": "DEBUG"}


def raw(text):
    """What of a text a terminal would obey, and the lines that were forged."""
    forged = [line for line in text.splitlines() if line.startswith("2026 ERROR")]
    return [hostile for hostile in HOSTILE if not hostile.startswith("\n") and hostile in text] + (
        forged
    )


def names(beginning):
    return [f"{beginning}{hostile}.wav" for hostile in HOSTILE]


def test_a_worker_and_all_commands_escape_hostile_names(fleet):
    """Without escaping, a file's name colours the terminal or writes a log line of its own."""
    # Given good, empty and crashing sounds with such names
    abort = f"abort {''.join(HOSTILE)}.wav"  # one, for each ends a child ten times
    fleet.add(*names("bass "), abort)
    for name in names("empty "):
        (fleet.library / name).touch()
    failed = dict.fromkeys(names("empty "), "empty_file") | {abort: "crashed_reader"}
    fleet.submit()
    with fleet.worker(settings=TALKATIVE) as worker:
        fleet.wait_until_done()
        # When every command prints them
        outputs = {}
        for command in COMMANDS:
            paths = [fleet.library] if command[0] == "ingest" else []
            done = fleet.cli(*command, *paths, CRATESORT_LOG_LEVEL="DEBUG")
            outputs[command] = done.stdout + done.stderr
        fleet.wait_until_done()
        log = worker.log()
    # Then nothing of that is obeyed
    assert raw(log) == []
    assert {command: raw(text) for command, text in outputs.items() if raw(text)} == {}
    assert r"bass \x1b[31m.wav" in outputs["results",]
    fleet.assert_nothing_is_lost(failed=failed)


@pytest.fixture
def odd_folder(tmp_path):
    """A folder with such a name, and in it one that cannot be read and a file that crashes."""
    folder = tmp_path / f"sounds {''.join(HOSTILE)}"
    (folder / "locked \x1b[31m").mkdir(parents=True, mode=0)
    return folder


def test_in_process_a_suspect_and_a_locked_folder_are_shown_escaped(run_cli, odd_folder):
    """Without escaping, the warnings about both obey the name."""
    # Given a file that ends the program, whose second run tries it apart
    (odd_folder / "abort \x1b[31m.wav").write_bytes(b"RIFF")
    shim = {"PYTHONPATH": SHIMMED, "CRATESORT_LOG_LEVEL": "DEBUG"}
    output = ""
    for command in (["ingest", odd_folder], ["ingest", odd_folder], ["retry", "--failed"]):
        done = run_cli(*command, settings=shim, process=True, obey_permissions=True)
        output += done.stdout + done.stderr
    # Then both are named, escaped
    assert "the reader crashed in a separate process" in output
    assert "warning: folder not read" in output
    assert raw(output) == []


def test_a_missing_library_root_with_such_a_name_is_logged_escaped(fleet, tmp_path):
    """Without escaping, the error about the root obeys its path."""
    # Given a worker whose library root has such a path, and is not mounted
    fleet.add(count=1)
    fleet.submit()
    away = {"CRATESORT_LIBRARY_ROOTS": f"library={tmp_path}/away {HOSTILE[0]}{HOSTILE[2]}"}
    with fleet.worker(settings=TALKATIVE | away) as worker:
        wait_until(lambda: "cannot be listed" in worker.log(), "the worker logs it", 60)
        log = worker.log()
    doctor = fleet.cli("doctor", **away)
    assert raw(log + doctor.stdout + doctor.stderr) == []


def test_a_dropped_message_with_a_hostile_name_is_logged_escaped(fleet):
    """Without escaping, the line about a dropped message obeys what is in it."""
    # Given messages that cratesort would never send
    fleet.add(count=1)
    with fleet.worker(settings=TALKATIVE) as worker:
        with redis.Redis.from_url(fleet.broker_url) as client:
            for hostile in HOSTILE:
                client.rpush("classify.library:3", hostile.encode())
                client.rpush("classify.library:3", json.dumps({"headers": {"task": hostile}}))
        fleet.submit()
        fleet.wait_until_done()
        log = worker.log()
    assert "dropped" in log
    assert raw(log) == []
