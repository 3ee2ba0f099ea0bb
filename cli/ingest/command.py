"""``cratesort ingest``: find sounds, write them to the ledger, and wait for their results."""

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO, Final

import click

from classifier.files.paths import path_text, printable
from cli.console.exit_codes import Exit
from cli.console.options import json_option, wait_option
from cli.console.seekable_input import seekable_input
from cli.ingest.execution import Run
from cli.ingest.summary import report

#: About five million paths. An endless manifest (/dev/zero) must not fill the disk.
_MAX_MANIFEST_BYTES: Final = 512 * 1024**2


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(readable=False))
@click.option(
    "--manifest",
    metavar="FILE",
    help="Read the files from FILE ('-': standard input): one path a line, or NUL-separated, "
    "or a CSV table starting with path,vendor.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Pass over files and folders of such a name, or with a slash in it of such a path; may "
    "be repeated.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Exit code 1 too when audio was passed over that is not read (m4a, wma, rx2, ...).",
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
    exclude: tuple[str, ...],
    strict: bool,
    wait: bool | None,
    now: bool,
    reclassify: bool,
    below: float | None,
    model_older: bool,
    as_json: bool,
) -> None:
    """Classify the sounds at and below each PATH.

    Folders are walked; what does not look like audio is passed over and counted by its kind, and so
    are hidden folders, waste bins and the like. A file .cratesortignore in a folder names more to
    pass over, a pattern a line. Files whose size and time have not changed since their last visit
    are skipped. Without a broker (CRATESORT_BROKER_URL) everything happens in this process.

    Exit code: 0 done; 1 done, but some files have no category; 2 wrong usage or configuration;
    3 a service, or the storage of the sounds, is unreachable or read-only; 70 a fault of cratesort.
    What an ingest that ended with 2, 3 or 70 had written to the ledger is done; hand the rest in
    again.
    """
    if not paths and manifest is None:
        raise click.UsageError("name a folder or a file, or use --manifest")
    if (below is not None or model_older) and not reclassify:
        raise click.UsageError("--below and --model-older go with --reclassify")
    if below is not None and model_older:
        raise click.UsageError("--below and --model-older exclude each other")
    from workers.faults import STORAGE_ERRNOS

    for path in paths:
        try:
            os.stat(path)
        except OSError as error:
            if error.errno in STORAGE_ERRNOS:
                raise
            if not os.path.lexists(path):
                shown = printable(path_text(path))
                raise click.UsageError(f"{shown}: no such file or folder") from None

    from tasks.producer.file_source import FileSource
    from tasks.producer.locator import Locator
    from tasks.producer.submission import submit_source
    from tasks.producer.unchanged import Reclassify

    with Run.begin(wait=wait) as run, _opened(manifest) as file_list:
        source = FileSource(
            paths,
            Locator(run.settings),
            file_list,
            manifest or "",
            (*run.settings.exclude, *exclude),
        )
        submission, ended = run.submit_and_wait(
            lambda on_progress: submit_source(
                source,
                settings=run.settings,
                database=run.database,
                reclassify=Reclassify(below, model_older) if reclassify else None,
                interactive=now,
                on_progress=on_progress,
            )
        )
        code = report(run, submission, ended, source, as_json)
        if code is Exit.DONE and strict and source.ignored.unsupported_format:
            code = Exit.SOME_FAILED
        sys.exit(code)


def _opened(manifest: str | None) -> AbstractContextManager[BinaryIO | None]:
    if manifest is None:
        return nullcontext()
    return seekable_input(manifest, most_bytes=_MAX_MANIFEST_BYTES)
