"""A data folder that cannot be written any more, as on a full disk."""

import os
import signal

from tests.support.servers.lifecycle import wait_until


def test_an_unwritable_data_folder_is_logged_once_per_batch(fleet, tmp_path):
    """Without it each batch logs the traceback of a crash marker that could not be created."""
    fleet.add(count=8)
    folder = tmp_path / "data"
    with fleet.worker(settings={"CRATESORT_DATA_FOLDER": str(folder)}) as worker:
        # Given a child that starts when no crash marker can be created
        folder.rename(tmp_path / "away")
        folder.touch()
        (child,) = worker.children()
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: worker.children() - {child}, "there is another child", 60)
        # When it gets batches, then each is one line in the log
        fleet.submit()
        wait_until(lambda: worker.log().count("not processed: the data folder") >= 2, "logged", 60)
        assert f"{folder} cannot be written: Not a directory; it is published" in worker.log()
        assert "Traceback" not in worker.log()
        # And the child processes them when it can, with no attempt counted
        folder.unlink()
        fleet.wait_until_done()
    fleet.assert_nothing_is_lost()
    assert fleet.attempts() == 0
