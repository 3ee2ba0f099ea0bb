"""Bring the system up with Docker Compose, break it in mid-run, and count: ``make compose-test``.

Builds the images, starts all services, scales to four workers, hands in a library, kills a worker,
loses Redis with all its data, rolls the workers to another image, and checks that every file has
exactly one row. Then it fills a system of version 0.1.0 and upgrades that. All of it is removed at
the end. Skips where no Docker engine answers.
"""

import argparse
import base64
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from classifier.files.extensions import has_audio_extension
from tests.compose.stack import (
    ComposeError,
    Stack,
    missing,
    require,
    say,
    show_state,
    wait_for,
)
from tests.compose.upgrade import upgrade
from tests.support.places import REPOSITORY

#: Enough that the run is still on when the workers are rolled.
_FILES = 80_000
_WORKERS = 4
_MOST_IMAGE_BYTES = 450e6
#: Of ours; the others are somebody else's images.
_SERVICES = ("worker", "trainer", "beat", "intake", "metrics", "flower")


def make_library(originals: Path, library: Path) -> int:
    """Fill `library` with links to real sounds under other names, and return how many."""
    found = [
        path
        for path in sorted(originals.rglob("*"))
        if path.is_file() and has_audio_extension(os.fsencode(path.name))
    ]
    if not found:
        raise ComposeError(f"{originals} holds no sounds")
    # Copied once: links do not cross file systems, and the containers' user must be able to read.
    copies = []
    for number, path in enumerate(found):
        copy = library.parent / "originals" / f"{number}{path.suffix}"
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
        copies.append(copy)
    for number in range(_FILES):
        pack = library / f"vendor {number // 10_000}" / f"pack {number // 500}"
        if number % 500 == 0:
            pack.mkdir(parents=True)
        place = number % len(found)
        os.link(copies[place], pack / f"{number}_{found[place].name}")
    return _FILES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, help="sounds to hand in (default: made-up ones)")
    originals = parser.parse_args().library
    reason = missing()
    if reason is not None:
        print(f"skipped: {reason}")
        return
    with TemporaryDirectory(prefix="cratesort-compose-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if originals is None:
            originals = folder / "examples"
            make = [sys.executable, REPOSITORY / "examples" / "make_library.py", originals]
            subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        count = make_library(originals, folder / "library")
        say(f"{count:,} files, of the sounds in {originals.name}")
        stack = Stack(folder, folder / "library", {"CRATESORT_BATCH_SIZE": "64"})
        try:
            check_refusal(folder)
            start(stack)
            look(stack)
            run(stack, count)
            use(stack)
            stop(stack)
            upgrade(folder, folder / "library", stack.tag)
        except BaseException:
            show_state(stack)
            raise
        finally:
            say("removing all of it")
            stack.remove()
    say("passed")


def check_refusal(folder: Path) -> None:
    """Without a filled-in .env nothing starts, and it is said what is missing: any one of them."""
    empty = folder / "empty.env"
    empty.touch()
    clean = {key: value for key, value in os.environ.items() if not key.endswith("_PASSWORD")}
    done = subprocess.run(
        ["docker", "compose", "--env-file", empty, "config", "--quiet"],
        cwd=REPOSITORY,
        env=clean,
        capture_output=True,
        text=True,
    )
    refused = done.returncode != 0 and "is missing a value: write" in done.stderr
    require(refused, f"without passwords: {done.stderr.strip().splitlines()[-1][-90:]}")


def start(stack: Stack) -> None:
    """Build, start, scale."""
    say("docker compose build")
    stack.compose("build", "--quiet")
    for service in ("worker", "trainer", "flower"):
        image = f"cratesort-{service}:{stack.tag}"
        size = int(stack.docker("image", "inspect", "--format", "{{.Size}}", image))
        if service == "worker":
            require(size <= _MOST_IMAGE_BYTES, f"{service}'s image has {size / 1e6:.0f} MB")
        else:
            say(f"  {service}'s image has {size / 1e6:.0f} MB")
    # To roll the workers to, later; made now, because the run does not wait for it.
    build = ("build", "--quiet", "--target", "worker", "--label", "cratesort.release=2", "--tag")
    stack.docker(*build, f"cratesort-worker:{stack.project}-2", ".")
    stack.listen()
    say("docker compose up -d --wait")
    stack.compose("up", "--detach", "--wait")
    require(not unhealthy(stack), "it ends when all containers are healthy")
    say(f"docker compose up -d --scale worker={_WORKERS}")
    stack.compose("up", "--detach", "--scale", f"worker={_WORKERS}")
    wait_for("all containers are healthy", lambda: not unhealthy(stack), 240)
    names = {one["Config"]["Hostname"] for one in stack.containers("worker")}
    require(len(names) == _WORKERS, f"{_WORKERS} workers, each with a host name of its own")


def look(stack: Stack) -> None:
    """Look at what the containers may do."""
    for one in stack.containers(*_SERVICES):
        host = one["HostConfig"]
        confined = (
            one["Config"]["User"] not in ("", "0", "root")
            and host["ReadonlyRootfs"]
            and "ALL" in host["CapDrop"]
            and "no-new-privileges:true" in host["SecurityOpt"]
            and host["Memory"] > 0
            and host["NanoCpus"] > 0
        )
        if not confined:
            raise ComposeError(f"{one['Name']} may do more than it should")
    say("  ok: ours run as nobody in particular, on read-only roots, without capabilities, bounded")
    published = {
        binding["HostIp"]
        for one in stack.containers()
        for bindings in (one["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    }
    require(published == {"127.0.0.1"}, "nothing is published beyond 127.0.0.1")
    stack.look_at_roles()
    mount = next(
        m for m in stack.containers("worker")[0]["Mounts"] if m["Destination"] == "/library"
    )
    require(not mount["RW"], "the library is mounted read-only")


def run(stack: Stack, count: int) -> None:
    """Hand the library in and break things until it is done."""
    say("docker compose run --rm --no-deps worker ingest --wait /library")
    ingest = stack.begin(
        "run", "--rm", "--no-TTY", "--no-deps", "worker", "ingest", "--wait", "/library"
    )

    def done() -> int:
        query = "select coalesce(sum(sound_count), 0) from batches where state = 'done'"
        return int(stack.sql(query)[0][0])

    def reached(share: float) -> None:
        wait_for(f"{share:.0%} of the files are done", lambda: done() >= share * count, 300)
        say(f"{done():,} of {count:,} files are done")

    reached(0.05)
    say("a worker's container is killed (SIGKILL)")
    stack.docker("kill", "--signal", "KILL", stack.containers("worker")[0]["Id"])
    reached(0.2)
    say("Redis is lost with all its data")
    stack.compose("rm", "--stop", "--force", "redis")
    stack.docker("volume", "rm", f"{stack.project}_redis")
    stack.compose("up", "--detach", "--no-deps", "redis")
    reached(0.3)
    say("the workers are rolled to another image")
    before = {one["Id"] for one in stack.containers("worker")}
    stack.use_tag(f"{stack.project}-2")
    stack.compose("up", "--detach", "--no-deps", "--scale", f"worker={_WORKERS}", "worker")
    now = stack.containers("worker")
    labels = {one["Config"]["Labels"].get("cratesort.release") for one in now}
    is_new = labels == {"2"} and not before & {one["Id"] for one in now}
    require(is_new and len(now) == _WORKERS, f"{_WORKERS} workers run the new image")
    left = count - done()
    require(left > 0, f"{left:,} files were still to do then")
    require(ingest.wait(1800) == 0, "the ingest has seen all of them through: exit code 0")
    (counts,) = stack.sql("select count(*), count(distinct key) from sounds")
    require(counts == [str(count)] * 2, f"every file has exactly one row: {count:,}")
    (ended,) = stack.sql("select sum(classified) + sum(failed), sum(failed) from batches")
    require(int(ended[0]) == count, f"submitted = classified + failed ({int(ended[1]):,} failed)")
    given_up = "error_code in ('crashed_reader', 'timed_out', 'internal_error')"
    ((lost,),) = stack.sql(f"select count(*) from sounds where {given_up}")  # noqa: S608  (ours)
    require(lost == "0", "no file was given up for what happened to its worker")


def use(stack: Stack) -> None:
    """Use what stands around the workers."""
    require("healthy" in stack.cratesort("health"), "cratesort health")
    say("redis-cli --user inbox LPUSH cratesort:inbox ...")
    producer = ("--user", "inbox", "--pass", stack.inbox_password)
    stack.push("/library/a", *producer)
    wait_for(
        "what was pushed has a row",
        lambda: stack.sql("select error_code from sounds where path = 'a'") == [["missing_file"]],
        60,
    )
    say("  ok: what was pushed has its row")
    fetch = "import urllib.request as r; print(r.urlopen('http://metrics:9808/metrics').read().decode())"
    metrics = stack.compose("exec", "--no-TTY", "intake", "python", "-c", fetch)
    require("\ncratesort_up 1.0" in metrics, "metrics are served to the other containers")
    page = f"http://127.0.0.1:{stack.flower_port}/api/workers"
    require(_answers(page) == 401, "Flower shows nothing without a password")
    login = f"cratesort:{stack.flower_password}"
    wait_for("Flower answers with one", lambda: _answers(page, login) == 200, 30)
    shutdown = page.replace("workers", "worker/shutdown/any")
    require(_answers(shutdown, login, b"") in (403, 404, 405), "and controls nothing")
    wait_for("all containers are healthy", lambda: not unhealthy(stack), 240)
    say("  ok: all containers are healthy")


def unhealthy(stack: Stack) -> list[str]:
    """Return the containers that do not run, or say that they are not well."""
    return [
        one["Name"]
        for one in stack.containers()
        if one["State"]["Status"] != "running"
        or one["State"].get("Health", {"Status": "healthy"})["Status"] != "healthy"
    ]


def _answers(url: str, login: str | None = None, data: bytes | None = None) -> int:
    request = urllib.request.Request(url, data=data)  # noqa: S310  (our own)
    if login is not None:
        token = base64.b64encode(login.encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    # Whatever stands between this machine and the world is not asked for 127.0.0.1.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def stop(stack: Stack) -> None:
    """Stop all, and look how they ended."""
    say("docker compose stop")
    stack.compose("stop")
    # The first ones, one of which was killed, and those of the new image.
    codes = stack.ends("worker", 2 * _WORKERS)
    require(codes == [0] * (2 * _WORKERS - 1) + [137], f"workers ended by SIGTERM but one: {codes}")
    for service in ("trainer", "beat", "intake", "metrics", "flower", "postgres"):
        require(stack.ends(service, 1) == [0], f"{service} ended by SIGTERM: code 0")


if __name__ == "__main__":
    try:
        main()
    except ComposeError as error:
        sys.exit(f"compose-test failed: {error}")
