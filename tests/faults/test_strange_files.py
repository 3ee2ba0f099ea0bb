"""A FIFO, a device, a link out of the root: each gets its reason, and nobody waits for it."""

import os
import stat

import pytest


def test_none_of_them_is_read_and_each_has_its_reason(fleet, tmp_path):
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
