"""Test the compose file with faults during a run: ``make compose-test``.

Builds the images, starts all services, scales to four workers, ingests a library, kills a worker,
deletes Redis with all its data, replaces the workers by another image, and checks that every file
has exactly one row. Then upgrades a filled system of version 0.1.0. Removes everything at the end.
Skipped if no Docker engine is running.
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
    report,
    require,
    show_state,
    wait_for,
)
from tests.compose.upgrade import upgrade
from tests.support.places import REPOSITORY

#: Enough that the ingest is still running when the workers are replaced.
_FILES = 80_000
_WORKERS = 4
_MOST_IMAGE_BYTES = 450e6
#: Services with an image of cratesort.
_SERVICES = ("worker", "trainer", "beat", "intake", "metrics", "flower")


def make_library(originals: Path, library: Path) -> int:
    """Fill `library` with links to real sounds under other names, and return how many."""
    paths = [
        path
        for path in sorted(originals.rglob("*"))
        if path.is_file() and has_audio_extension(os.fsencode(path.name))
    ]
    if not paths:
        raise ComposeError(f"{originals} contains no sounds")
    # Copied once: hard links do not cross file systems, and the containers' user must have access.
    copies = []
    for number, path in enumerate(paths):
        copy = library.parent / "originals" / f"{number}{path.suffix}"
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
        copies.append(copy)
    for number in range(_FILES):
        pack = library / f"vendor {number // 10_000}" / f"pack {number // 500}"
        if number % 500 == 0:
            pack.mkdir(parents=True)
        place = number % len(paths)
        os.link(copies[place], pack / f"{number}_{paths[place].name}")
    return _FILES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--library", type=Path, help="sounds to ingest (default: the example library)"
    )
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
        report(f"{count:,} files, copies of the sounds in {originals.name}")
        stack = Stack(folder, folder / "library", {"CRATESORT_BATCH_SIZE": "64"})
        try:
            check_refusal(folder)
            start(stack)
            check_privileges(stack)
            run(stack, count)
            use(stack)
            stop(stack)
            upgrade(folder, folder / "library", stack.tag)
        except BaseException:
            show_state(stack)
            raise
        finally:
            report("removing everything")
            stack.remove()
    report("passed")


def check_refusal(folder: Path) -> None:
    """Check that nothing starts without passwords in .env, and that the error names one."""
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
    report("docker compose build")
    stack.compose("build", "--quiet")
    for service in ("worker", "trainer", "flower"):
        image = f"cratesort-{service}:{stack.tag}"
        size = int(stack.docker("image", "inspect", "--format", "{{.Size}}", image))
        if service == "worker":
            require(size <= _MOST_IMAGE_BYTES, f"the image of {service} has {size / 1e6:.0f} MB")
        else:
            report(f"  the image of {service} has {size / 1e6:.0f} MB")
    # The image that replaces the workers later. Built now: the run does not wait for it.
    build = ("build", "--quiet", "--target", "worker", "--label", "cratesort.release=2", "--tag")
    stack.docker(*build, f"cratesort-worker:{stack.project}-2", ".")
    stack.listen()
    report("docker compose up -d --wait")
    stack.compose("up", "--detach", "--wait")
    require(not unhealthy(stack), "it returns when all containers are healthy")
    report(f"docker compose up -d --scale worker={_WORKERS}")
    stack.compose("up", "--detach", "--scale", f"worker={_WORKERS}")
    wait_for("all containers are healthy", lambda: not unhealthy(stack), 240)
    names = {container["Config"]["Hostname"] for container in stack.containers("worker")}
    require(len(names) == _WORKERS, f"{_WORKERS} workers with different host names")


def check_privileges(stack: Stack) -> None:
    """Check that the containers have no unneeded privileges."""
    for container in stack.containers(*_SERVICES):
        host = container["HostConfig"]
        confined = (
            container["Config"]["User"] not in ("", "0", "root")
            and host["ReadonlyRootfs"]
            and "ALL" in host["CapDrop"]
            and "no-new-privileges:true" in host["SecurityOpt"]
            and host["Memory"] > 0
            and host["NanoCpus"] > 0
        )
        if not confined:
            raise ComposeError(f"{container['Name']} has more privileges than it needs")
    report("  ok: unprivileged user, read-only root, no capabilities, limited memory and CPU")
    published = {
        binding["HostIp"]
        for container in stack.containers()
        for bindings in (container["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    }
    require(published == {"127.0.0.1"}, "ports are published on 127.0.0.1 only")
    stack.check_roles()
    mount = next(
        m for m in stack.containers("worker")[0]["Mounts"] if m["Destination"] == "/library"
    )
    require(not mount["RW"], "the library is mounted read-only")


def run(stack: Stack, count: int) -> None:
    """Ingest the library, with faults until it is done."""
    report("docker compose run --rm --no-deps worker ingest --wait /library")
    ingest = stack.begin(
        "run", "--rm", "--no-TTY", "--no-deps", "worker", "ingest", "--wait", "/library"
    )

    def done() -> int:
        query = "select coalesce(sum(sound_count), 0) from batches where state = 'done'"
        return int(stack.sql(query)[0][0])

    def reached(share: float) -> None:
        wait_for(f"{share:.0%} of the files are done", lambda: done() >= share * count, 300)
        report(f"{done():,} of {count:,} files are done")

    reached(0.05)
    report("a worker container is killed (SIGKILL)")
    stack.docker("kill", "--signal", "KILL", stack.containers("worker")[0]["Id"])
    reached(0.2)
    report("Redis is deleted with all its data")
    stack.compose("rm", "--stop", "--force", "redis")
    stack.docker("volume", "rm", f"{stack.project}_redis")
    stack.compose("up", "--detach", "--no-deps", "redis")
    reached(0.3)
    report("the workers are replaced by another image")
    before = {container["Id"] for container in stack.containers("worker")}
    stack.use_tag(f"{stack.project}-2")
    stack.compose("up", "--detach", "--no-deps", "--scale", f"worker={_WORKERS}", "worker")
    now = stack.containers("worker")
    labels = {container["Config"]["Labels"].get("cratesort.release") for container in now}
    is_new = labels == {"2"} and not before & {container["Id"] for container in now}
    require(is_new and len(now) == _WORKERS, f"{_WORKERS} workers run the new image")
    left = count - done()
    require(left > 0, f"{left:,} files were still open then")
    require(ingest.wait(1800) == 0, "the ingest finished all of them: exit code 0")
    (counts,) = stack.sql("select count(*), count(distinct key) from sounds")
    require(counts == [str(count)] * 2, f"every file has exactly one row: {count:,}")
    (ended,) = stack.sql("select sum(classified) + sum(failed), sum(failed) from batches")
    require(int(ended[0]) == count, f"submitted = classified + failed ({int(ended[1]):,} failed)")
    given_up = "error_code in ('crashed_reader', 'timed_out', 'internal_error')"
    ((lost,),) = stack.sql(f"select count(*) from sounds where {given_up}")  # noqa: S608  (ours)
    require(lost == "0", "no file was given up because of a fault of its worker")


def use(stack: Stack) -> None:
    """Use the other services: health, inbox, metrics, Flower."""
    require("healthy" in stack.cratesort("health"), "cratesort health")
    report("redis-cli --user inbox LPUSH cratesort:inbox ...")
    producer = ("--user", "inbox", "--pass", stack.inbox_password)
    stack.push("/library/a", *producer)
    wait_for(
        "the pushed path has a row",
        lambda: stack.sql("select error_code from sounds where path = 'a'") == [["missing_file"]],
        60,
    )
    report("  ok: the pushed path has a row")
    fetch = "import urllib.request as r; print(r.urlopen('http://metrics:9808/metrics').read().decode())"
    metrics = stack.compose("exec", "--no-TTY", "intake", "python", "-c", fetch)
    require("\ncratesort_up 1.0" in metrics, "metrics are served to the other containers")
    page = f"http://127.0.0.1:{stack.flower_port}/api/workers"
    require(_http_status(page) == 401, "Flower shows nothing without a password")
    login = f"cratesort:{stack.flower_password}"
    wait_for("Flower responds to a login", lambda: _http_status(page, login) == 200, 30)
    shutdown = page.replace("workers", "worker/shutdown/any")
    require(_http_status(shutdown, login, b"") in (403, 404, 405), "Flower is read-only")
    wait_for("all containers are healthy", lambda: not unhealthy(stack), 240)
    report("  ok: all containers are healthy")


def unhealthy(stack: Stack) -> list[str]:
    """Return the names of containers that are not running or not healthy."""
    return [
        container["Name"]
        for container in stack.containers()
        if container["State"]["Status"] != "running"
        or container["State"].get("Health", {"Status": "healthy"})["Status"] != "healthy"
    ]


def _http_status(url: str, login: str | None = None, data: bytes | None = None) -> int:
    request = urllib.request.Request(url, data=data)  # noqa: S310  (our own)
    if login is not None:
        token = base64.b64encode(login.encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    # 127.0.0.1 must not go through a configured proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def stop(stack: Stack) -> None:
    """Stop all services and check their exit codes."""
    report("docker compose stop")
    stack.compose("stop")
    # The first workers (one of them was killed) and those of the new image.
    codes = stack.exit_codes("worker", 2 * _WORKERS)
    require(
        codes == [0] * (2 * _WORKERS - 1) + [137],
        f"workers stopped on SIGTERM, but one: {codes}",
    )
    for service in ("trainer", "beat", "intake", "metrics", "flower", "postgres"):
        require(stack.exit_codes(service, 1) == [0], f"{service} stopped on SIGTERM: exit code 0")


if __name__ == "__main__":
    try:
        main()
    except ComposeError as error:
        sys.exit(f"compose-test failed: {error}")
