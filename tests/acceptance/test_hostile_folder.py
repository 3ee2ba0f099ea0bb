"""Commands that are started in a stranger's folder: nothing in it is run, and they work.

The environment is as hostile: variables by which libraries would find another Redis, another
configuration or another module.
"""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from tests.support import sounds
from tests.support.command_line import clean_environment
from tests.support.servers.lifecycle import die_with_parent, free_port, wait_until

#: What cratesort and its libraries import, or would import.
MODULES = (
    *("tasks", "workers", "db", "training", "classifier", "celeryconfig", "flowerconfig"),
    *("celery", "kombu", "redis", "sqlalchemy", "alembic", "click", "numpy", "hostile"),
)

COMMANDS = (
    (("ingest", "--help"), 0),
    (("ingest", "{sound}", "--wait"), 0),
    (("status",), 0),
    (("results",), 0),
    (("forget", "--gone"), 0),
    (("retry", "--failed"), 0),
    (("explain", "{sound}"), 0),
    (("predict", "--from-csv", "{table}"), 0),
    (("labels", "stats"), 0),
    (("train", "--from-csv", "{table}"), 2),
    (("study", "--from-csv", "{table}", "--report", "{report}"), 2),
    (("models", "list"), 0),
    (("db", "upgrade"), 0),
    (("doctor",), 0),
    (("health",), 0),
    (("metrics", "--print"), 0),
)


#: Runs commands one after the other: starting Python for each costs more than all that they do.
ALL = """
import json, sys
from cli.__main__ import main
for arguments, expected in json.loads(sys.argv[1]):
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code or 0
    assert code == expected, (arguments, code)
"""


@pytest.fixture
def folder(tmp_path):
    """The library, beside everything else of the test."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "kick.wav").write_bytes(sounds.encoded())
    return folder


@pytest.fixture
def hostile(tmp_path):
    """A folder whose modules leave a file `ran` beside it when they are run."""
    folder = tmp_path / "hostile"
    code = f"open({str(tmp_path / 'ran')!r}, 'a').write(__name__ + '\\n')\n"
    for name in MODULES:
        package = folder / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(code)
        for module in ("app", "classify", "settings", "engine", "celery"):
            (package / f"{module}.py").write_text(code)
    (folder / ".env").write_text("CELERY_CONFIG_MODULE=hostile\nPYTHONSTARTUP=hostile/app.py\n")
    (folder / "matplotlibrc").write_text("backend: module://hostile\n")
    return folder


@pytest.fixture
def environment(tmp_path, fleet):
    """The settings of a fleet, among variables that name other servers and modules."""
    elsewhere = f"redis://127.0.0.1:{free_port()}/0"
    broker = ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL")
    others = {
        **dict.fromkeys((*broker, "CELERY_RESULT_BACKEND", "BROKER_URL"), elsewhere),
        "CELERY_LOADER": "hostile.app:Loader",
        "CELERY_CONFIG_MODULE": "hostile",
        "DJANGO_SETTINGS_MODULE": "hostile.settings",
        "APP": "hostile",
        "LOADER": "hostile.app:Loader",
        "FLOWER_UNIX_SOCKET": str(tmp_path / "socket"),
        "FLOWER_BROKER_API": "no URL",
        "FLOWER_FORMAT_TASK": "hostile",
    }
    ours = {
        **fleet,
        "CRATESORT_FLOWER_LOGIN": "me:unspeakable",
        "CRATESORT_SWEEP_SECONDS": "1",
        "CRATESORT_LOG_FORMAT": "text",
    }
    return clean_environment(tmp_path, others | ours)


@pytest.fixture
def start(tmp_path, hostile, environment):
    """Start ``cratesort ARGUMENTS`` in the hostile folder, as the script that pip makes does."""
    script = tmp_path / "bin" / "cratesort"
    script.parent.mkdir()
    script.write_text("import sys\nfrom cli.__main__ import main\nsys.exit(main())\n")
    started = []

    def start(*arguments, python=(script,)):
        log = tmp_path / f"{len(started)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *python, *arguments],
                cwd=hostile,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        started.append((process, log))
        return process, log

    yield start
    for process, _ in started:
        process.terminate()
    for process, _ in started:
        process.wait(60)


def flower_answers(port):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        return opener.open(f"http://127.0.0.1:{port}/healthcheck", timeout=5).status == 200
    except OSError:
        return False


@pytest.mark.timeout(300)  # five programs at once, on a busy machine
def test_no_command_runs_what_is_in_the_current_folder(start, folder, tmp_path, redis_server):
    # Given all services, started in a hostile folder and among hostile variables
    port = free_port()
    start("worker", "--concurrency", "1")
    _, beat = start("beat")
    _, intake = start("intake")
    start("flower", "--port", str(port))
    # When every command is run there
    table = tmp_path / "table.csv"
    table.write_text("file_path\nkick.wav\n")
    names = {"sound": folder / "kick.wav", "table": table, "report": tmp_path / "report"}
    program = tmp_path / "all.py"
    program.write_text(ALL)
    arguments = [[[part.format(**names) for part in line], code] for line, code in COMMANDS]
    process, log = start(json.dumps(arguments), python=(program,))
    # Then they work, with the settings' Redis, and so do the services
    assert process.wait(100) == 0, log.read_text()
    assert f"broker     redis://:**@127.0.0.1:{redis_server.port}/0\n" in log.read_text()
    assert "workers    1 worker takes work: worker-" in log.read_text()
    assert "set, but not used: CELERY_BROKER_READ_URL, CELERY_BROKER_URL" in log.read_text()
    wait_until(lambda: "sent the task sweep" in beat.read_text(), "beat sent its task", 60)
    wait_until(lambda: "it processes entries of" in intake.read_text(), "the intake works", 60)
    wait_until(lambda: flower_answers(port), "Flower answers", 60)
    # And nothing of the folder was run
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_a_command_started_with_python_m_runs_nothing_in_the_current_folder(start, tmp_path):
    """Unless the folder has a `cli`, or a module of Python's own: those come before all of ours."""
    process, log = start("status", python=("-m", "cli"))
    assert process.wait(60) == 0, log.read_text()
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_a_celeryconfig_in_the_current_folder_is_ignored(start, tmp_path):
    process, log = start("worker", "--detach")
    assert process.wait(60) == 2
    assert "use a service manager, such as systemd" in log.read_text()
    assert not (tmp_path / "ran").exists()
