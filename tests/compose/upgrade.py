"""A system of 0.1.0 with its data, upgraded in mid-run as docs/how-to/upgrade-a-fleet.md says."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from tests.compose.stack import Stack, require, say, show_state, wait_for
from tests.support.places import REPOSITORY

#: Those of the worker's image: the older version's others are not built for this.
_SERVICES = ("worker", "intake", "beat", "metrics")


def upgrade(folder: Path, library: Path, tag: str) -> None:
    """Fill a system of 0.1.0, exchange its images for those of this tag, and count.

    Parameters
    ----------
    folder : Path
        For the .env file and the older version's source.
    library : Path
        Mounted as /library; its folders ``vendor 0`` and ``vendor 1`` are handed in.
    tag : str
        Of images that are built.
    """
    older = folder / "older"
    if not _unpack_older(older):
        say("the upgrade is not tested: this clone has no commit of 0.1.0 (git fetch --unshallow)")
        return
    stack = Stack(folder, library, {"CRATESORT_BATCH_SIZE": "64"}, older)
    try:
        _fill(stack)
        before = _results(stack)
        _exchange(stack, tag)
        _count(stack, before)
    except BaseException:
        show_state(stack)
        raise
    finally:
        stack.remove()


def _unpack_older(folder: Path) -> bool:
    # The newest commit that took this line away; the one before it is the last of 0.1.0.
    find = ["git", "log", "-1", "--format=%H", '-Sversion = "0.1.0"', "--", "pyproject.toml"]
    found = subprocess.run(find, cwd=REPOSITORY, capture_output=True, text=True)
    archive = ["git", "archive", f"{found.stdout.strip()}^"]
    packed = subprocess.run(archive, cwd=REPOSITORY, capture_output=True)
    if packed.returncode != 0:
        return False
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as files:
        files.extractall(folder, filter="data")
    return True


def _results(stack: Stack) -> list[list[str]]:
    """Return what the database holds of the folder that was done before the upgrade."""
    return stack.sql(
        "select count(*), md5(string_agg(concat_ws(',', path, category, confidence), ';'"
        " order by path)), (select string_agg(path || category, ';') from label_history)"
        " from sounds where path like 'vendor 0/%'"
    )


def _fill(stack: Stack) -> None:
    """Give it results, a label, work that is not done and an entry of the inbox that waits."""
    say("0.1.0: docker compose build, up -d, ingest")
    stack.compose("build", "--quiet", "worker")
    stack.compose("up", "--detach", *_SERVICES)
    stack.ingest("--wait", "/library/vendor 0")
    ((path,),) = stack.sql("select path from sounds order by path limit 1")
    stack.cratesort("labels", "set", f"/library/{path}", "vocal")
    stack.compose("stop", "intake")
    stack.push("/library/waits")
    stack.ingest("--no-wait", "/library/vendor 1")
    left = stack.counted("select sum(sound_count) from batches where state <> 'done'")
    require(left > 0, f"it has results and a label, and {left:,} files are still to do")


def _exchange(stack: Stack, tag: str) -> None:
    """Do what the page says, but for the images, which are built."""
    stack.source = REPOSITORY
    stack.use_tag(tag)
    say("docker compose run --rm migrate")
    stack.compose("run", "--rm", "--no-TTY", "migrate")
    say("docker compose up -d --wait --scale worker=2")
    stack.compose("up", "--detach", "--wait", "--scale", "worker=2", *_SERVICES)
    images = {one["Config"]["Image"] for one in stack.containers(*_SERVICES)}
    require(images == {f"cratesort-worker:{tag}"}, "all containers run the new image")


def _count(stack: Stack, before: list[list[str]]) -> None:
    """Everything is there, and what was not done gets done."""
    stack.look_at_roles()
    require(_results(stack) == before, f"the {before[0][0]} results and the label are as before")
    waits = "select error_code from sounds where path = 'waits'"
    wait_for("the entry has its row", lambda: stack.sql(waits) == [["missing_file"]], 120)
    say("  ok: the entry that waited in the inbox has its row")
    left = "select count(*) from batches where state <> 'done'"
    wait_for("all batches are done", lambda: stack.counted(left) == 0, 300)
    rows = (
        "select count(*), count(distinct key), count(error_code) from sounds where path <> 'waits'"
    )
    require(stack.sql(rows) == [["20000", "20000", "0"]], "each of 20,000 files has one row")
