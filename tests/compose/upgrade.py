"""Upgrade a system of 0.1.0 with data and open work, as in docs/how-to/upgrade-a-fleet.md."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from tests.compose.stack import Stack, report, require, show_state, wait_for
from tests.support.places import REPOSITORY

#: Services with the worker image. Other images of the older version are not built here.
_SERVICES = ("worker", "intake", "beat", "metrics")


def upgrade(folder: Path, library: Path, tag: str) -> None:
    """Fill a system of 0.1.0, upgrade it to images with this tag, and check the data.

    Parameters
    ----------
    folder : Path
        For the .env file and the older version's source.
    library : Path
        Mounted as /library; its folders ``vendor 0`` and ``vendor 1`` are ingested.
    tag : str
        Tag of images that exist.
    """
    older = folder / "older"
    if not _unpack_older(older):
        report("upgrade not tested: this clone has no commit of 0.1.0 (git fetch --unshallow)")
        return
    stack = Stack(folder, library, {"CRATESORT_BATCH_SIZE": "64"}, older)
    try:
        _fill(stack)
        before = _results(stack)
        _upgrade(stack, tag)
        _check(stack, before)
    except BaseException:
        show_state(stack)
        raise
    finally:
        stack.remove()


def _unpack_older(folder: Path) -> bool:
    # The newest commit that removed this line; its parent is the last commit of 0.1.0.
    find = ["git", "log", "-1", "--format=%H", '-Sversion = "0.1.0"', "--", "pyproject.toml"]
    commit = subprocess.run(find, cwd=REPOSITORY, capture_output=True, text=True)
    archive = ["git", "archive", f"{commit.stdout.strip()}^"]
    packed = subprocess.run(archive, cwd=REPOSITORY, capture_output=True)
    if packed.returncode != 0:
        return False
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as files:
        files.extractall(folder, filter="data")
    return True


def _results(stack: Stack) -> list[list[str]]:
    """Return the stored results of the folder that was finished before the upgrade."""
    return stack.sql(
        "select count(*), md5(string_agg(concat_ws(',', path, category, confidence), ';'"
        " order by path)), (select string_agg(path || category, ';') from label_history)"
        " from sounds where path like 'vendor 0/%'"
    )


def _fill(stack: Stack) -> None:
    """Create results, a label, open work and a waiting inbox entry."""
    report("0.1.0: docker compose build, up -d, ingest")
    stack.compose("build", "--quiet", "worker")
    stack.compose("up", "--detach", *_SERVICES)
    stack.ingest("--wait", "/library/vendor 0")
    ((path,),) = stack.sql("select path from sounds order by path limit 1")
    stack.cratesort("labels", "set", f"/library/{path}", "vocal")
    stack.compose("stop", "intake")
    stack.push("/library/waits")
    stack.ingest("--no-wait", "/library/vendor 1")
    left = stack.counted("select sum(sound_count) from batches where state <> 'done'")
    require(left > 0, f"there are results, a label and {left:,} open files")


def _upgrade(stack: Stack, tag: str) -> None:
    """Follow the steps of the page, with images that exist already."""
    stack.source = REPOSITORY
    stack.use_tag(tag)
    report("docker compose run --rm migrate")
    stack.compose("run", "--rm", "--no-TTY", "migrate")
    report("docker compose up -d --wait --scale worker=2")
    stack.compose("up", "--detach", "--wait", "--scale", "worker=2", *_SERVICES)
    images = {container["Config"]["Image"] for container in stack.containers(*_SERVICES)}
    require(images == {f"cratesort-worker:{tag}"}, "all containers run the new image")


def _check(stack: Stack, before: list[list[str]]) -> None:
    """Check that all data is kept and open work gets done."""
    stack.check_roles()
    require(_results(stack) == before, f"the {before[0][0]} results and the label are unchanged")
    waits = "select error_code from sounds where path = 'waits'"
    wait_for("the inbox entry has a row", lambda: stack.sql(waits) == [["missing_file"]], 120)
    report("  ok: the entry that waited in the inbox has a row")
    left = "select count(*) from batches where state <> 'done'"
    wait_for("all batches are done", lambda: stack.counted(left) == 0, 300)
    rows = (
        "select count(*), count(distinct key), count(error_code) from sounds where path <> 'waits'"
    )
    require(stack.sql(rows) == [["20000", "20000", "0"]], "each of 20,000 files has one row")
