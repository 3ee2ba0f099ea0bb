"""``cratesort doctor``: what is configured, reachable and loaded, and what to do about the rest."""

import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cli.console.exit_codes import Exit, explain
from cli.console.options import json_option
from cli.console.output import print_json, say
from cli.console.session import opened_database
from cli.console.text_tables import labelled

if TYPE_CHECKING:
    from workers.settings import Settings

_PING_SECONDS: Final = 2.0
_INDENT: Final = 17


class Finding(StrEnum):
    """How a check ended."""

    GOOD = "good"
    LOOK = "look"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    detail : str
        What was found, in words.
    advice : str
        What to do; empty when nothing need be done.
    exit_code : int
        What this finding makes of the command's exit code.
    """

    name: str
    finding: Finding
    detail: str
    advice: str = ""
    exit_code: int = Exit.DONE


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check the installation, the settings, the services and the model.

    Exit code: 0 when work can be done; 2 when a setting must change; 3 when a service is
    unreachable.
    """
    checks: list[Check] = []
    for check in _checks():
        checks.append(check)
        if not as_json:
            _print(check)
    code = max(check.exit_code for check in checks)
    if as_json:
        print_json({"ok": code == Exit.DONE, "checks": [asdict(check) for check in checks]})
    elif code == Exit.DONE:
        say("\nReady.")
    sys.exit(code)


def _print(check: Check) -> None:
    mark = {Finding.GOOD: "ok  ", Finding.LOOK: "look", Finding.BAD: "BAD "}[check.finding]
    first, *rest = check.detail.splitlines()
    say(labelled(f"{mark}  {check.name}", first, _INDENT))
    for line in (*rest, *([f"-> {check.advice}"] if check.advice else [])):
        say(labelled("", line, _INDENT))


def _checks() -> Iterator[Check]:
    yield _installation()
    try:
        from workers.settings import load_settings

        settings = load_settings()
    except Exception as error:
        yield _failed("settings", error)
        return
    yield _settings(settings)
    yield from _roots(settings)
    database = _guarded("database", lambda: _database(settings))
    yield database
    from db.engine import is_missing

    if database.finding is not Finding.BAD and not is_missing(settings.database):
        yield _guarded("queue", lambda: _queue(settings))
    if not settings.in_process:
        broker = _guarded("broker", lambda: _broker(settings))
        yield broker
        if broker.finding is not Finding.BAD:
            yield _guarded("workers", lambda: _workers(settings))
    if database.finding is not Finding.BAD:
        yield _guarded("model", lambda: _model(settings))


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:
        return _failed(name, error)


def _failed(name: str, error: Exception) -> Check:
    message, code = explain(error) or (f"{type(error).__name__}: {error}", Exit.USAGE)
    first, _, advice = message.partition("\n")
    # Elsewhere the advice ends with "`cratesort doctor` says more".
    return Check(name, Finding.BAD, first, advice.partition(";")[0].replace("\n", " "), code)


def _installation() -> Check:
    from importlib.metadata import version

    import soundfile

    extras = {
        "training": "tensorflow",
        "monitoring": "flower",
        "parquet": "pyarrow",
    }
    present = [extra for extra, module in extras.items() if importlib.util.find_spec(module)]
    return Check(
        "install",
        Finding.GOOD,
        f"cratesort {version('cratesort')}, Python "
        f"{platform.python_version()}, libsndfile {soundfile.__libsndfile_version__}, "
        f"onnxruntime {version('onnxruntime')}\n"
        f"extras: {', '.join(present) or 'none'}",
    )


def _settings(settings: "Settings") -> Check:
    names = sorted(name for name in os.environ if name.startswith("CRATESORT_"))
    sources = f"set: {', '.join(names) or 'nothing'}"
    if Path(".env").is_file():
        sources += "; and a .env file here"
    how = "in this process" if settings.in_process else "through Redis, by workers"
    return Check("settings", Finding.GOOD, f"work is done {how}\n{sources}")


def _roots(settings: "Settings") -> Iterator[Check]:
    if not settings.library_roots:
        if not settings.in_process:
            yield Check(
                "roots",
                Finding.BAD,
                "no library root is configured, so no path can be handed to workers",
                "set CRATESORT_LIBRARY_ROOTS, for example main=/library, on every host",
                Exit.USAGE,
            )
        return
    for name, folder in settings.library_roots.items():
        if os.access(folder, os.R_OK | os.X_OK) and folder.is_dir():
            yield Check("root", Finding.GOOD, f"{name} = {folder}")
        else:
            yield Check(
                "root",
                Finding.BAD,
                f"{name} = {folder} is not a folder this user can read",
                "mount it, or correct CRATESORT_LIBRARY_ROOTS",
                Exit.USAGE,
            )


def _database(settings: "Settings") -> Check:
    from db.engine import is_missing, reading, shown
    from db.migrate import current
    from db.reporting.counts import ledger_counts, sound_counts

    url = shown(settings.database)
    if is_missing(settings.database):
        # To look must not be to make: a mistyped path would become an empty library.
        return Check("database", Finding.LOOK, f"{url} is not there yet; the first ingest makes it")
    with opened_database(settings) as (_, database):
        revision = current(database)
        with reading(database) as connection:
            counts = sound_counts(connection)
            ledger = ledger_counts(connection)
    batches = ", ".join(f"{count:,} {state}" for state, count in ledger.batches.items())
    alone = database.dialect.name == "sqlite" and not settings.in_process
    return Check(
        "database",
        Finding.LOOK if alone else Finding.GOOD,
        f"{url}, revision {revision}\n"
        f"{counts.classified:,} sounds classified, {counts.failed:,} failed; batches: {batches}",
        "SQLite serves workers of this host only; for several hosts set CRATESORT_DATABASE_URL "
        "to a PostgreSQL database"
        if alone
        else "",
    )


def _queue(settings: "Settings") -> Check:
    from cli.status.health import stuck_sentence
    from db.engine import reading
    from db.reporting.counts import waiting

    with opened_database(settings) as (_, database), reading(database) as connection:
        work = waiting(connection)
    if not work.batches:
        return Check("queue", Finding.GOOD, "no work waits")
    if settings.in_process:
        return Check(
            "queue",
            Finding.LOOK,
            f"{work.batches:,} batches wait that an earlier run left",
            "any `cratesort ingest` goes on with them",
        )
    settled = f"unclaimed for {work.unclaimed_seconds:.0f} s"
    if work.unclaimed_seconds <= settings.stuck_seconds:
        return Check("queue", Finding.GOOD, f"{work.batches:,} batches wait, {settled}")
    return Check(
        "queue",
        Finding.BAD,
        stuck_sentence(work.batches, work.unclaimed_seconds),
        "see whether workers run, and what their logs say of Redis and the library roots",
        Exit.UNREACHABLE,
    )


def _broker(settings: "Settings") -> Check:
    import redis

    url = settings.broker_url
    if url is None:  # pragma: no cover - asked only when there is one
        raise AssertionError("no broker to check")
    client = redis.Redis.from_url(
        url.get_secret_value(), socket_timeout=_PING_SECONDS, socket_connect_timeout=_PING_SECONDS
    )
    info = client.info()
    policy = info.get("maxmemory_policy", "unknown")
    where = f"Redis {info['redis_version']} answers; memory policy {policy}"
    if info.get("maxmemory") and policy != "noeviction":
        return Check(
            "broker",
            Finding.LOOK,
            f"{where}: when memory is full it throws messages away",
            "set maxmemory-policy noeviction (the ledger sends lost messages again, late)",
        )
    return Check("broker", Finding.GOOD, where)


def _workers(settings: "Settings") -> Check:
    from workers.celery_ext.app import build_app

    replies = build_app(settings).control.ping(timeout=_PING_SECONDS)
    names = sorted(name for reply in replies for name in reply)
    if not names:
        return Check(
            "workers",
            Finding.LOOK,
            "no worker answers",
            "start one: cratesort worker --concurrency 2",
        )
    return Check("workers", Finding.GOOD, f"{len(names)} answer: {', '.join(names)}")


def _model(settings: "Settings") -> Check:
    from classifier.bundle.load import load_starter
    from db.engine import is_missing
    from workers.serving_model import ServingModel

    if is_missing(settings.database):
        classifier = load_starter(settings.engine)
    else:
        with opened_database(settings) as (_, database):
            classifier = ServingModel(settings.engine).current(database)
    return Check(
        "model",
        Finding.GOOD,
        f"{classifier.version} loads with the {settings.engine} engine; every hash and golden "
        "vector agrees",
    )
