"""``cratesort ingest``: find sounds, write them to the ledger, and see them classified."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from classifier.files.paths import path_text, printable
from cli.console.exit_codes import Exit
from cli.console.options import json_option, wait_option
from cli.console.seekable_input import seekable_input
from cli.ingest.run import Run
from cli.ingest.summary import BadLines, report

if TYPE_CHECKING:
    from tasks.producer.locator import FoundSound
    from tasks.producer.submission import Submission
    from tasks.producer.unchanged import Reclassify

#: Some five million paths; a manifest that never ends (/dev/zero) must not fill the disk.
_MAX_MANIFEST_BYTES: Final = 512 * 1024**2

_COPIED_BYTES: Final = 1024**2


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(readable=False))
@click.option(
    "--manifest",
    metavar="FILE",
    help="Read the files from FILE ('-': standard input): one path a line, or NUL-separated, "
    "or a CSV table starting with path,vendor.",
)
@wait_option
@click.option("--now", is_flag=True, help="Before all that waits in the ledger: for a few files.")
@click.option("--reclassify", is_flag=True, help="Classify unchanged files again too.")
@click.option(
    "--below",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="With --reclassify: only those with a confidence below P.",
)
@click.option(
    "--model-older",
    is_flag=True,
    help="With --reclassify: only those another model classified.",
)
@json_option
def ingest(
    paths: tuple[str, ...],
    manifest: str | None,
    wait: bool | None,
    now: bool,
    reclassify: bool,
    below: float | None,
    model_older: bool,
    as_json: bool,
) -> None:
    """Classify the sounds at and below each PATH.

    Folders are walked; what does not look like audio is passed over and counted. Files whose size
    and time have not changed since their last visit are skipped. Without a broker
    (CRATESORT_BROKER_URL) everything happens in this process.

    Exit code: 0 done; 1 done, but some files have no category; 2 wrong usage or configuration;
    3 a service is unreachable.
    """
    if not paths and manifest is None:
        raise click.UsageError("name a folder or a file, or use --manifest")
    if (below is not None or model_older) and not reclassify:
        raise click.UsageError("--below and --model-older go with --reclassify")
    if below is not None and model_older:
        raise click.UsageError("--below and --model-older exclude each other")
    for path in paths:
        if not _exists(path):
            raise click.UsageError(f"{printable(path_text(path))}: no such file or folder")

    from tasks.producer.unchanged import Reclassify

    again = Reclassify(below, model_older) if reclassify else None
    with Run.begin(wait=wait) as run:
        sys.exit(_ingest(run, paths, manifest, again, now, as_json))


def _exists(path: str) -> bool:
    return os.path.lexists(path)


def _ingest(
    run: Run,
    paths: tuple[str, ...],
    manifest: str | None,
    reclassify: "Reclassify | None",
    interactive: bool,
    as_json: bool,
) -> Exit:
    from tasks.producer.dedupe import seen_sounds
    from tasks.producer.discovery import Ignored, find
    from tasks.producer.file_lists import find_listed, is_table, read_manifest
    from tasks.producer.locator import Locator
    from tasks.producer.submission import submit_found

    ignored = Ignored()
    bad = BadLines()
    locator = Locator(run.settings)

    def found() -> Iterator["FoundSound"]:
        if manifest is None:
            yield from find(paths, locator, ignored)
            return
        with seen_sounds() as seen:
            for sound in find(paths, locator, ignored):
                seen.add(sound.root, sound.path)
                yield sound
            with seekable_input(manifest, most_bytes=_MAX_MANIFEST_BYTES) as stream:
                yield from find_listed(read_manifest(stream), locator, bad.add, seen)

    for path in paths:
        locator.place(_resolved(path))  # refuse before anything is written
    if manifest not in (None, "-"):
        with Path(str(manifest)).open("rb") as stream:
            # What comes through a pipe comes once.
            if stream.seekable():
                is_table(stream.readline(_COPIED_BYTES))
    source = ", ".join([*paths[:3], *([f"manifest {manifest}"] if manifest else [])])

    def submit(on_progress: "Callable[[Submission], None]") -> "Submission":
        return submit_found(
            found(),
            source=path_text(source),
            settings=run.settings,
            database=run.database,
            ignored=ignored,
            reclassify=reclassify,
            interactive=interactive,
            on_progress=on_progress,
        )

    submission, ended = run.see_through(submit)
    return report(run, submission, ended, ignored, bad, as_json)


def _resolved(path: str) -> bytes:
    return os.path.realpath(os.fsencode(path))
