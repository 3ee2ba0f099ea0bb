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
    help="Read the files from FILE ('-': standard input): one path per line, NUL-separated paths, "
    "or a CSV table whose header starts with path,vendor.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Ignore files and folders whose name matches GLOB, or whose path does if GLOB contains a "
    "slash. Repeatable.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Also exit with 1 if audio in an unsupported format (m4a, wma, rx2, ...) was ignored.",
)
@wait_option
@click.option(
    "--now",
    is_flag=True,
    help="Process these files ahead of everything already queued; for a few files.",
)
@click.option("--reclassify", is_flag=True, help="Also classify unchanged files again.")
@click.option(
    "--below",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="With --reclassify: only files with a confidence below P.",
)
@click.option(
    "--model-older",
    is_flag=True,
    help="With --reclassify: only files classified by another model than the current one.",
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
    """Classify the sounds in each PATH, a file or a folder.

    Folders are searched recursively. Files that do not look like audio are ignored and counted by
    kind, and so are hidden folders, recycle bins and the like. A file named .cratesortignore in a
    folder lists more patterns to ignore, one per line. Files whose size and modification time have
    not changed since the last ingest are skipped. Without a broker (CRATESORT_BROKER_URL) this
    process classifies the files; with one, the workers do.

    Exit code: 0 done; 1 done, but some files have no category; 2 wrong usage or configuration;
    3 a service or the storage of the sounds is unreachable or read-only; 70 a bug in cratesort.
    After 2, 3 or 70, files that were already queued are still classified; run the command again
    for the rest.
    """
    if not paths and manifest is None:
        raise click.UsageError("expected a folder, a file or --manifest FILE")
    if (below is not None or model_older) and not reclassify:
        raise click.UsageError("--below and --model-older require --reclassify")
    if below is not None and model_older:
        raise click.UsageError("--below and --model-older cannot be combined")
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
        submission, final = run.submit_and_wait(
            lambda on_progress: submit_source(
                source,
                settings=run.settings,
                database=run.database,
                reclassify=Reclassify(below, model_older) if reclassify else None,
                interactive=now,
                on_progress=on_progress,
            )
        )
        code = report(run, submission, final, source, as_json)
        if code is Exit.DONE and strict and source.ignored.unsupported_format:
            code = Exit.SOME_FAILED
        sys.exit(code)


def _opened(manifest: str | None) -> AbstractContextManager[BinaryIO | None]:
    if manifest is None:
        return nullcontext()
    return seekable_input(manifest, most_bytes=_MAX_MANIFEST_BYTES)
