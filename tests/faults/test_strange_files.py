"""A FIFO, a device, a link out of the root: each is recorded as failed, none blocks a process."""

import os
import stat

import pytest
import redis

from tasks.inbox.redis_lists import DEAD_KEY, INBOX_KEY
from tests.support.servers.lifecycle import wait_until


def test_special_files_are_not_read_and_get_their_error(fleet, tmp_path):
    """Without the checks at opening, a child waits for the FIFO or reads outside the root."""
    fleet.add(count=4)
    (tmp_path / "secret.wav").write_bytes((fleet.library / "bass 000.wav").read_bytes())
    os.mkfifo(fleet.library / "pipe.wav")
    (fleet.library / "out.wav").symlink_to(tmp_path / "secret.wav")
    (fleet.library / "loop.wav").symlink_to("loop.wav")
    (fleet.library / "device.wav").symlink_to("/dev/zero")
    failed = {
        "pipe.wav": "not_a_file",
        "out.wav": "outside_root",
        "loop.wav": "symlink_loop",
        "device.wav": "outside_root",
    }
    fleet.submit()
    with fleet.worker():
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost(failed=failed)


def test_no_pushed_path_stops_the_intake(fleet, redis_url, tmp_path, intake_process):
    """Without reading links one by one, a long chain of them would crash every intake."""
    # Given links that lead astray, and among their paths one good one
    fleet.add("good.wav")
    (fleet.library / "chain0").symlink_to(".")
    for number in range(1, 1500):
        (fleet.library / f"chain{number}").symlink_to(f"chain{number - 1}")
    (fleet.library / "loop").symlink_to("loop")
    (fleet.library / "out").symlink_to(tmp_path)
    failed = {
        "loop/a.wav": "symlink_loop",
        "good.wav/a.wav": "missing_file",
        300 * "n": "invalid_path",
        # What is left of the chain after forty links
        "chain1459/a.wav": "symlink_loop",
    }
    below = ["chain1499/a.wav", *list(failed)[:3], "out/a.wav", "good.wav"]
    with redis.Redis.from_url(redis_url) as client, intake_process(fleet.settings) as intake:
        # When they are pushed
        client.lpush(INBOX_KEY, "/proc/1/cwd/x", *(f"{fleet.library}/{path}" for path in below))
        with fleet.worker():
            # Then paths outside are rejected, all others get their rows, and the intake continues
            wait_until(lambda: len(fleet.outcomes()) == 5, "they have their rows")
            fleet.wait_until_done()
        assert client.llen(DEAD_KEY) == 2
        assert "Traceback" not in intake.log()
    assert fleet.outcomes().keys() == {"good.wav", *failed}
    assert fleet.failed() == failed


def test_a_device_within_the_root_is_not_read(fleet):
    """Without the check of the file's type, a child reads zeros without end."""
    fleet.add(count=1)
    try:
        os.mknod(fleet.library / "zero.wav", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root may make a device")
    fleet.submit()
    with fleet.worker():
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost(failed={"zero.wav": "not_a_file"})
