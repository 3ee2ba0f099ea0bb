"""``cratesort doctor``: check settings, services and the model, with advice for each fault."""

import importlib.util
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from classifier.errors import CratesortError
from cli.console.exit_codes import Exit, Explanation, explain
from cli.console.options import json_option
from cli.console.output import counted, print_json, print_line, say
from cli.console.session import NOT_READ, ROOT_ADVICE, opened_database
from cli.console.text_tables import labelled

if TYPE_CHECKING:
    from db.reporting.open_work import RootWork
    from workers.settings import Settings

_ANSWER_SECONDS: Final = 2.0
_INDENT: Final = 17
_PROBE_BYTES: Final = 65536


class Finding(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; `advice` is empty where nothing needs to be done."""

    name: str
    finding: Finding
    detail: str
    advice: str = ""
    exit_code: int = Exit.DONE


def _ok(name: str, detail: str) -> Check:
    return Check(name, Finding.OK, detail)


def _warning(name: str, detail: str, advice: str = "") -> Check:
    return Check(name, Finding.WARNING, detail, advice)


def _failed(name: str, detail: str, advice: str, exit_code: Exit = Exit.USAGE) -> Check:
    return Check(name, Finding.FAILED, detail, advice, exit_code)


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check the installation, the settings, the services and the model.

    Exit code: 0 ready to classify; 2 a setting must be changed; 3 a service is unreachable, the
    database is read-only, or the disk is full.
    """
    checks: list[Check] = []
    for check in _checks():
        checks.append(check)
        if not as_json:
            _print(check)
    code = max(check.exit_code for check in checks)
    if as_json:
        print_json({"ok": code == Exit.DONE, "checks": [asdict(check) for check in checks]})
    else:
        say(f"\n{_conclusion([check.finding for check in checks])}")
    sys.exit(code)


def _conclusion(findings: Sequence[Finding]) -> str:
    failures, warnings = findings.count(Finding.FAILED), findings.count(Finding.WARNING)
    first = f"{counted(failures, 'check')} failed" if failures else "All checks passed"
    return f"{first}, {counted(warnings, 'warning')}." if warnings else f"{first}."


def _print(check: Check) -> None:
    mark = {Finding.OK: "ok  ", Finding.WARNING: "warn", Finding.FAILED: "FAIL"}[check.finding]
    first, *rest = check.detail.splitlines()
    print_line(labelled(f"{mark}  {check.name}", first, _INDENT))
    for line in (*rest, *([f"-> {check.advice}"] if check.advice else [])):
        print_line(labelled("", line, _INDENT))


def _checks() -> Iterator[Check]:
    yield _installation()
    from db.engine import is_missing
    from workers.settings import load_settings

    try:
        settings = load_settings()
    except Exception as error:
        yield _of_error("settings", error)
        return
    yield _settings(settings)
    yield _guarded("data", _data, settings)
    database = _guarded("database", _database, settings)
    yield from _roots(settings, _known_names(settings))
    yield database
    if database.finding is not Finding.FAILED and not is_missing(settings.database):
        yield _guarded("queue", _queue, settings)
    if not settings.in_process:
        broker = _guarded("broker", _broker, settings)
        yield broker
        if broker.finding is not Finding.FAILED:
            yield _guarded("workers", _workers, settings)
    if database.finding is not Finding.FAILED:
        yield _guarded("model", _model, settings)


def _guarded(name: str, check: "Callable[[str, Settings], Check]", settings: "Settings") -> Check:
    try:
        return check(name, settings)
    except Exception as error:
        return _of_error(name, error)


def _of_error(name: str, error: Exception) -> Check:
    explained = explain(error) or Explanation(f"{type(error).__name__}: {error}", Exit.USAGE)
    advice = explained.advice[:1].lower() + explained.advice[1:]
    return _failed(name, explained.message, advice, explained.exit_code)


def _installation() -> Check:
    from importlib.metadata import version

    import soundfile

    extras = {"training": "tensorflow", "monitoring": "flower", "parquet": "pyarrow"}
    present = [extra for extra, module in extras.items() if importlib.util.find_spec(module)]
    return _ok(
        "install",
        f"cratesort {version('cratesort')}, Python {platform.python_version()}, "
        f"libsndfile {soundfile.__libsndfile_version__}, onnxruntime {version('onnxruntime')}\n"
        f"extras: {', '.join(present) or 'none'}",
    )


def _settings(settings: "Settings") -> Check:
    names = sorted(name for name in os.environ if name.startswith("CRATESORT_"))
    sources = f"set: {', '.join(names) or 'nothing'}"
    if Path(".env").is_file():
        sources += f"; also those in {Path('.env').absolute()}"
    where = "in this process" if settings.in_process else "by workers, through Redis"
    unused = sorted(name for name in os.environ if name.startswith(("CELERY_", "FLOWER_")))
    if unused:
        sources += f"\nset, but not used: {', '.join(unused)}"
    return _ok("settings", f"files are classified {where}\n{sources}")


def _data(name: str, settings: "Settings") -> Check:
    from sqlalchemy import make_url

    from db.errors import is_disk_full

    needed = [settings.data_folder]
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database:
        needed.append(Path(url.database).parent)
    # A check must not create the folders, so test the nearest folder above that exists.
    folders = [
        next(folder for folder in (path, *path.parents) if folder.is_dir())
        for path in (path.absolute() for path in needed)
    ]
    for folder in dict.fromkeys(folders):
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(bytes(_PROBE_BYTES))
        except OSError as error:
            detail = f"cannot write to {folder}: {error.strerror}"
            if is_disk_full(error):
                return _failed(name, detail, "free some space there", Exit.UNREACHABLE)
            return _warning(name, detail, "make it writable, or set CRATESORT_DATA_FOLDER")
    return _ok(name, f"writable: {', '.join(map(str, dict.fromkeys(folders)))}")


def _known_names(settings: "Settings") -> dict[str, list[str]]:
    """Return the known names directly below each library root; none without a database."""
    from sqlalchemy.exc import SQLAlchemyError

    from db.engine import is_missing, reading
    from db.queue.root_names import known_names

    try:
        if is_missing(settings.database):
            return {}
        with opened_database(settings) as (_, database), reading(database) as connection:
            return {root: known_names(connection, root) for root in settings.library_roots}
    except (CratesortError, SQLAlchemyError):
        return {}  # another check reports the error


def _roots(settings: "Settings", known: dict[str, list[str]]) -> Iterator[Check]:
    from workers.library_roots import LibraryRoot

    if not settings.library_roots and not settings.in_process:
        yield _failed(
            "roots",
            "no library root is configured, so workers cannot be given any path",
            "set CRATESORT_LIBRARY_ROOTS on every host, for example main=/library",
        )
    for name, folder in settings.library_roots.items():
        advice = "mount it, or correct CRATESORT_LIBRARY_ROOTS"
        if not (os.access(folder, os.R_OK | os.X_OK) and folder.is_dir()):
            detail = f"{name} = {folder} is not a folder this user can read"
            yield _failed("root", detail, advice)
            continue
        fault = LibraryRoot.named(name, settings).fault(known.get(name, ()))
        if fault is None:
            yield _ok("root", f"{name} = {folder}")
        elif known.get(name):
            yield _failed("root", f"{name}: {fault}", advice, Exit.UNREACHABLE)
        else:
            yield _warning("root", f"{name}: {fault}", advice)


def _database(name: str, settings: "Settings") -> Check:
    from cli.services.worker_and_beat import connections_of
    from db.engine import connected_to, is_missing, reading, shown
    from db.migrate import current
    from db.prerequisites import facts_of, require_connections
    from db.reporting.counts import ledger_counts, sound_counts, sounds_without_root

    if is_missing(settings.database):
        # A check must not create the database: a mistyped path would become an empty library.
        return _warning(
            name,
            f"there is no database at {shown(settings.database)} yet",
            "the first `cratesort ingest` creates it",
        )
    with opened_database(settings) as (_, database):
        revision = current(database)
        facts = facts_of(database)
        if not settings.in_process:
            require_connections(database, connections_of([]), "a worker on this host")
        with reading(database) as connection:
            url = connected_to(connection)
            sounds = sound_counts(connection)
            ledger = ledger_counts(connection)
            without_root = sounds_without_root(connection)
    batches = ", ".join(f"{count:,} {state}" for state, count in ledger.batches.items())
    detail = (
        f"{url}, revision {revision}, {facts.software}\n"
        f"{counted(sounds.classified, 'sound')} classified, {sounds.failed:,} failed; "
        f"batches: {batches}"
    )
    if facts.read_only:
        return _failed(
            name,
            f"{detail}\nthe database is read-only: it is a standby, or configured so",
            "set CRATESORT_DATABASE_URL to the primary, or make the database writable",
            Exit.UNREACHABLE,
        )
    if without_root and not settings.reads_absolute_paths:
        unreadable = counted(
            without_root, "sound has an absolute path", "sounds have absolute paths"
        )
        detail += f"\n{unreadable}, {NOT_READ}"
        return _warning(name, detail, ROOT_ADVICE)
    if database.dialect.name == "sqlite" and not settings.in_process:
        return _warning(
            name,
            detail,
            "SQLite works for workers on this host only; for several hosts, set "
            "CRATESORT_DATABASE_URL to a PostgreSQL database",
        )
    return _ok(name, detail)


def _queue(name: str, settings: "Settings") -> Check:
    from cli.status.health import fault_of, waiting_text
    from db.engine import reading
    from db.reporting.open_work import open_work

    with opened_database(settings) as (_, database), reading(database) as connection:
        work = open_work(connection)
    fault = fault_of(work, settings)
    if not work.waiting and fault is None:
        return _ok(name, "no work is waiting")
    if work.without_root and not settings.reads_absolute_paths:
        return _failed(name, str(fault), ROOT_ADVICE)
    if settings.in_process:
        return _warning(
            name,
            counted(
                work.waiting,
                "batch of an earlier run is waiting",
                "batches of an earlier run are waiting",
            ),
            "the next `cratesort ingest` continues with them",
        )
    if fault is None:
        return _ok(name, waiting_text(work))
    return _failed(
        name,
        fault,
        "check that workers are running, and look in their logs for errors about Redis or the "
        "library roots",
        Exit.UNREACHABLE,
    )


def _broker(name: str, settings: "Settings") -> Check:
    from cli.services.preflight import broker_url_for
    from workers.broker_url import parse_broker_url
    from workers.celery_ext.app import build_app

    url = broker_url_for("a worker")
    with parse_broker_url(url).client(answer_seconds=_ANSWER_SECONDS) as client:
        info = client.info()
    policy = info.get("maxmemory_policy", "unknown")
    used = build_app(settings).connection_for_read().as_uri()
    detail = f"{used}\nRedis {info['redis_version']} answers; maxmemory-policy {policy}"
    if info.get("maxmemory") and policy != "noeviction":
        return _warning(
            name,
            f"{detail}: Redis deletes messages when its memory is full",
            "set maxmemory-policy noeviction (lost messages are sent again, but only after "
            "CRATESORT_STALE_SECONDS)",
        )
    return _ok(name, detail)


def _workers(name: str, settings: "Settings") -> Check:
    from cli.services.preflight import broker_url_for
    from workers.broker_url import parse_broker_url
    from workers.celery_ext.app import CLASSIFY_QUEUE, INTERACTIVE_QUEUE
    from workers.celery_ext.presence import announced

    url = broker_url_for("a worker")
    with parse_broker_url(url).client(answer_seconds=_ANSWER_SECONDS) as client:
        served = announced(client)
    active = sorted(worker for worker in served if any("." in queue for queue in served[worker]))
    batch_queues = {CLASSIFY_QUEUE, INTERACTIVE_QUEUE}
    paused = sorted(
        worker
        for worker in served.keys() - set(active)
        if not served[worker] or served[worker] & batch_queues
    )
    roots = {queue.partition(".")[2] for queues in served.values() for queue in queues}
    unserved = sorted({work.root for work in _work_left(settings) if work.root} - roots)
    lines = ["no worker takes work"]
    advice = "start one: cratesort worker --concurrency 2"
    if active:
        takes = counted(len(active), "worker takes work", "workers take work")
        lines, advice = [f"{takes}: {', '.join(active)}"], ""
    if paused:
        takes = counted(len(paused), "worker takes no messages", "workers take no messages")
        lines.append(f"{takes}: {', '.join(paused)}")
        advice = "look in their logs: the database or a library root is unavailable to them"
    if unserved:
        names = ", ".join(map(repr, unserved))
        lines.append(f"work is waiting for a worker that has the library root {names}")
    detail = "\n".join(lines)
    if unserved or (paused and not active):
        advice = advice or "start a worker on a host that has this library root"
        return _failed(name, detail, advice, Exit.UNREACHABLE)
    return _warning(name, detail, advice) if advice else _ok(name, detail)


def _work_left(settings: "Settings") -> "Sequence[RootWork]":
    from db.engine import is_missing, reading
    from db.reporting.open_work import open_work

    if is_missing(settings.database):
        return ()
    with opened_database(settings) as (_, database), reading(database) as connection:
        return open_work(connection).roots


def _model(name: str, settings: "Settings") -> Check:
    from classifier.bundle.load import load_starter
    from db.engine import is_missing
    from workers.serving.serving_model import ServingModel

    if is_missing(settings.database):
        classifier = load_starter(settings.engine)
    else:
        with opened_database(settings) as (_, database):
            classifier = ServingModel(settings.engine).current(database)
    return _ok(
        name,
        f"{classifier.version} loads with the {settings.engine} engine; all hashes and golden "
        "vectors match",
    )
