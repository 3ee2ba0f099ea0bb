"""The examples of docs/reference/inbox.md, and of the runbook, do what they say."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest
import redis
from sqlalchemy import select

from db.engine import create_engine, reading
from db.tables import batches, label_history
from tasks.inbox.consumer import MOST_ENTRIES, ROUND_SECONDS
from tasks.inbox.redis_lists import DEAD_KEPT, LEASE_SECONDS, LONGEST_ENTRY_BYTES
from tests.support import sounds
from tests.support.places import REPOSITORY
from tests.support.servers import RedisServer, running
from tests.support.servers.lifecycle import wait_until
from tests.support.servers.redis_server import find_redis

INBOX_PAGE = (REPOSITORY / "docs" / "reference" / "inbox.md").read_text()
RUNBOOK = (REPOSITORY / "docs" / "how-to" / "runbook.md").read_text()


def examples(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    """What the examples call /mnt/packs."""
    folder = tmp_path / "packs"
    (folder / "Acme").mkdir(parents=True)
    for name in ("kick 01.wav", "pad.wav"):
        (folder / "Acme" / name).write_bytes(sounds.encoded())
    return folder


@pytest.fixture
def run_example(redis_url, redis_server, folder, tmp_path):
    """Run an example as a user would whose packs and Redis are elsewhere."""
    here = {
        "/mnt/packs": str(folder),
        "-h redis-host": f"-h 127.0.0.1 -p {redis_server.port}",
        "PASSWORD": redis_server.password,
    }

    def run(*command, example):
        for written, meant in here.items():
            example = example.replace(written, meant)
        subprocess.run(
            [*command, example],
            cwd=tmp_path,
            env={**os.environ, "CRATESORT_BROKER_URL": redis_url},
            check=True,
            stdout=subprocess.DEVNULL,
        )

    return run


@pytest.fixture
def taken(fleet, intake_process):
    """The paths that an intake finds in the inbox, with their vendors."""

    def take(count):
        database = create_engine(fleet["CRATESORT_DATABASE_URL"])

        def written():
            with reading(database) as connection:
                rows = connection.execute(select(batches.c.paths, batches.c.vendors)).all()
            return [pair for row in rows for pair in zip(row.paths, row.vendors, strict=True)]

        with intake_process(fleet):
            wait_until(lambda: len(written()) >= count, f"{count} are in the ledger")
        found = sorted(written())
        database.dispose()
        return found

    return take


BOTH = [("Acme/kick 01.wav", "Acme"), ("Acme/pad.wav", "Acme")]


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
def test_redis_cli_pushes_one_path(run_example, taken):
    one, _ = examples(INBOX_PAGE, "sh")
    run_example("sh", "-euc", example=one)
    assert taken(1) == BOTH[:1]


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
def test_redis_cli_pushes_a_folder(run_example, taken):
    _, whole_folder = examples(INBOX_PAGE, "sh")
    run_example("sh", "-euc", example=whole_folder)
    assert taken(2) == BOTH


def test_python_pushes_a_path_and_an_object_with_a_label(run_example, taken, sqlite_url):
    (example,) = examples(INBOX_PAGE, "python")
    run_example(sys.executable, "-c", example=example)
    assert taken(2) == BOTH
    database = create_engine(sqlite_url)
    with reading(database) as connection:
        rows = connection.execute(select(label_history.c.path, label_history.c.category)).all()
    database.dispose()
    assert [tuple(row) for row in rows] == [("Acme/pad.wav", "synth")]


class ServerOfThePage(RedisServer):
    """A Redis with the users that the page gives it."""

    def _launch(self):
        users, _ = examples(INBOX_PAGE, "text")
        users = users.replace("PUSH-PASSWORD", "only-pushes").replace(
            ">PASSWORD", f">{self.password}"
        )
        (self.folder / "users.acl").write_text(users)
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        files = ["--dir", str(self.folder), "--aclfile", str(self.folder / "users.acl")]
        return self._spawn([find_redis(), *options, *files], signal.SIGKILL)


@pytest.mark.skipif(shutil.which("redis-cli") is None, reason="redis-cli is not installed")
def test_the_push_only_user_can_push_but_not_read():
    _, push = examples(INBOX_PAGE, "text")
    with running(ServerOfThePage()) as server:
        here = f"-h 127.0.0.1 -p {server.port}"
        push = push.replace("-h redis-host", here).replace("PUSH-PASSWORD", "only-pushes")
        done = subprocess.run(shlex.split(push), capture_output=True, text=True, check=True)
        assert done.stdout == "1\n"
        with (
            redis.Redis.from_url(
                f"redis://inbox:only-pushes@127.0.0.1:{server.port}/0"
            ) as producer,
            redis.Redis.from_url(server.url) as application,
        ):
            assert producer.lpush("cratesort:inbox", "/mnt/packs/Acme/kick 01.wav") == 2
            for refused in ("LRANGE cratesort:inbox 0 -1", "LPUSH cratesort:inbox:dead x", "INFO"):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    producer.execute_command(*refused.split())
            assert application.llen("cratesort:inbox") == 2


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_example_for_node_is_javascript(tmp_path):
    # Not run: that would need its client library, which no Debian package holds
    (example,) = examples(INBOX_PAGE, "js")
    (tmp_path / "example.mjs").write_text(example)
    subprocess.run(["node", "--check", "example.mjs"], cwd=tmp_path, check=True)


def test_a_repaired_entry_is_pushed_again_from_the_dead_list(
    run_example, redis_url, folder, fleet, intake_process, taken
):
    (example,) = examples(RUNBOOK, "python")
    with redis.Redis.from_url(redis_url) as client:
        # Given entries that an intake did not take, for it lacks a root
        client.lpush("cratesort:inbox", json.dumps({"root": "packs", "path": "Acme/pad.wav"}))
        client.lpush("cratesort:inbox", b"caf\xe9.wav")
        with intake_process(fleet | {"CRATESORT_LIBRARY_ROOTS": f"others={folder}"}):
            wait_until(lambda: client.llen("cratesort:inbox:dead") == 2, "both are put aside")
        # When they are pushed again
        run_example(sys.executable, "-c", example=example)
        # Then an intake that has the root takes the one, and the other is as bad as before
        assert client.llen("cratesort:inbox:dead") == 0
        assert taken(1) == [("Acme/pad.wav", "Acme")]
        (dead,) = map(json.loads, client.lrange("cratesort:inbox:dead", 0, -1))
    assert dead["entry"].encode("utf-8", "surrogateescape") == b"caf\xe9.wav"


def test_the_page_states_the_limits_of_the_code():
    text = " ".join(INBOX_PAGE.split())
    assert f"At most {LONGEST_ENTRY_BYTES:,} bytes" in text
    assert f"The newest {DEAD_KEPT:,} are kept" in text
    assert f"its lease of {LEASE_SECONDS} s" in text
    assert f"every {ROUND_SECONDS} s" in text
    assert f"never more than {MOST_ENTRIES:,}" in text
