"""``cratesort models``: list models, show one, and choose the one in use."""

import gzip
import os
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from classifier.errors import BundleError, CratesortError
from classifier.files.paths import printable
from cli.console.options import json_option
from cli.console.output import iso_time, print_json, say
from cli.console.session import opened_database
from cli.console.text_tables import print_table

if TYPE_CHECKING:
    from sqlalchemy import Engine


class RollbackError(CratesortError):
    """There is no promotion to undo, or a concurrent one came first."""


class NotPassedError(CratesortError):
    """The model has not passed a promotion gate."""


class UnknownModelError(CratesortError):
    """Neither the database nor the package has a model of this version."""


@click.group()
def models() -> None:
    """List models, show one, or choose the one in use."""


@models.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """List the models in the database and the packaged starter."""
    from classifier.bundle.starter import starter_bundle, starter_version
    from db.engine import reading
    from db.registry.bundles import stored

    with opened_database(or_empty=True) as (_, database), reading(database) as connection:
        rows = stored(connection)
    has_champion = any(row.champion for row in rows)
    listed: list[tuple[Any, ...]] = [
        (row.version, row.champion, row.size_bytes, iso_time(row.created_at, "seconds"), "database")
        for row in rows
    ]
    listed.append((starter_version(), not has_champion, len(starter_bundle()), None, "package"))
    if as_json:
        keys = ("version", "serves", "size_bytes", "created_at", "origin")
        print_json({"models": [dict(zip(keys, model, strict=True)) for model in listed]})
        return
    print_table(
        [
            (
                f"{'*' if serves else ' '} {version}",
                f"{size_bytes / 1e6:,.2f} MB",
                created_at or "ships with cratesort",
            )
            for version, serves, size_bytes, created_at, _ in listed
        ],
        "<><",
        indent=0,
    )
    say("\n* in use")


@models.command()
@click.argument("version")
@click.option(
    "--report",
    metavar="FILE",
    type=click.File("wb", lazy=True),
    help="Instead, write the HTML report of its training run to FILE ('-': standard output).",
)
@json_option
def show(version: str, report: BinaryIO | None, as_json: bool) -> None:
    """Show what a model was trained on and how good it is.

    --json prints the whole manifest, with all metrics and the hashes of the bundle's members.
    """
    from classifier.bundle.load import read_manifest
    from classifier.bundle.starter import starter_bundle, starter_version
    from cli.models.manifest_text import print_manifest
    from db.engine import reading
    from db.registry.bundles import read, serving_version
    from db.registry.training_runs import made, report_of

    with opened_database(or_empty=True) as (_, database), reading(database) as connection:
        bundle = read(connection, version)
        page = report_of(connection, version)
        run = made(connection, version)
        serves = serving_version(connection) == version
    if report is not None:
        if page is None:
            raise UnknownModelError(
                f"no training run in this database produced a model {version!r}"
            )
        report.write(gzip.decompress(page))
        return
    stored = bundle is not None
    if bundle is None:
        if version != starter_version():
            raise _unknown(version)
        bundle = starter_bundle()
    manifest = read_manifest(bundle)
    if as_json:
        print_json(manifest.as_dict())
        return
    origin = "stored in the database" if stored else "ships with cratesort"
    print_manifest(manifest, f"{origin}{', in use' if serves else ''}", run)


@models.command()
@click.argument("version")
@click.option("--yes", is_flag=True, help="Also promote a model that did not pass the comparison.")
def promote(version: str, yes: bool) -> None:
    """Use the model VERSION from the next batch on.

    A model that was not found better than the one in use at the time requires --yes.
    """
    from classifier.bundle.starter import starter_version
    from db.registry import bundles

    stored = None if version == starter_version() else version
    with opened_database() as (_, database):
        _require_loadable(database, stored)
        if stored is not None and not yes:
            _require_passed_gate(database, stored)
        with database.begin() as connection:
            promoted = bundles.promote(connection, stored, by=_user_at_host())
    if not promoted:
        raise _unknown(version)  # removed since we loaded it
    say(f"{printable(version)} is in use from the next batch on")


@models.command()
def rollback() -> None:
    """Return to the model in use before the last promotion.

    Each further rollback goes back one more promotion. To use a later model again, promote it with
    `cratesort models promote`.
    """
    from classifier.bundle.starter import starter_version
    from db.engine import reading
    from db.registry import bundles

    with opened_database() as (_, database):
        with reading(database) as connection:
            step = bundles.next_rollback(connection)
        if step is None:
            raise RollbackError(
                "there is no promotion to undo; `cratesort models list` shows the models, "
                "`cratesort models promote VERSION` puts one of them in use"
            )
        _require_loadable(database, step.version)
        with database.begin() as connection:
            is_rolled_back = bundles.roll_back(connection, step, by=_user_at_host())
    if not is_rolled_back:
        raise RollbackError(
            "another promotion or rollback came first; look at `cratesort models list` and try "
            "again"
        )
    version, previous = (name or starter_version() for name in (step.version, step.previous))
    say(f"{printable(version)} is in use from the next batch on, instead of {printable(previous)}")


def _require_loadable(database: "Engine", version: str | None) -> None:
    """Load a model before it is promoted, which checks all its hashes and golden rows.

    None is the starter, which ships checked.

    Raises UnknownModelError: the database has no such model.
    Raises BundleError: a check failed, or the bundle states another version.
    """
    from classifier.bundle.load import load_classifier
    from db.engine import reading
    from db.registry import bundles

    if version is None:
        return
    with reading(database) as connection:
        bundle = bundles.read(connection, version)
    if bundle is None:
        raise _unknown(version)
    serving = load_classifier(bundle, "onnx").version
    if serving != version:
        # Workers would refuse it: their rows would name another version than the promoted one.
        raise BundleError(f"the bundle stored as {version!r} has the version {serving!r} inside")


def _require_passed_gate(database: "Engine", version: str) -> None:
    """Raise NotPassedError unless the model passed the promotion gate of its training run."""
    from db.engine import reading
    from db.registry import training_runs
    from db.states import RunVerdict

    with reading(database) as connection:
        run = training_runs.made(connection, version)
    if run is None:
        reason = "no training run in this database produced it, so it was never compared"
    elif run.verdict == RunVerdict.PROMOTED or run.metrics.get("passed_gate"):
        return
    else:
        reason = run.reason or "its run recorded no reason"
    raise NotPassedError(
        f"{version} was not found better than the model in use: {reason}. To use it "
        f"anyway: cratesort models promote {version} --yes"
    )


def _user_at_host() -> str:
    """Return ``user@host``, which is recorded with a promotion."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _unknown(version: str) -> UnknownModelError:
    return UnknownModelError(
        f"there is no model {version!r}; `cratesort models list` shows the models"
    )
