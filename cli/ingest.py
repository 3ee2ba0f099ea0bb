"""``cratesort ingest``: find sounds, write them to the ledger, and see them classified."""

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from classifier.paths import path_text, printable
from cli.exits import Exit
from cli.ingest_report import report
from cli.terminal import (
    on_terminal,
    set_up_logging,
    sounds_progress,
    tell,
)

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from sqlalchemy import Engine

    from db.overview import IngestProgress
    from tasks.finding import FoundSound, Ignored
    from tasks.manifest import BadLine
    from tasks.producer import Reclassify, Submission
    from workers.settings import Settings

_POLL_SECONDS: Final = 0.25
#: After this long without a claim, a waiting person is told what is missing.
_PATIENCE_SECONDS: Final = 10.0
#: Some five million paths; a manifest that never ends (/dev/zero) must not fill the memory.
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
    "--wait/--no-wait",
    default=None,
    help="Return when every file has its row, or as soon as the ledger has them. Default: wait "
    "in process and on a terminal.",
)
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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def ingest(
    paths: tuple[str, ...],
    manifest: str | None,
    wait: bool | None,
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

    from db.engine import create_engine
    from db.migrate import require_current
    from tasks.producer import Reclassify
    from workers.settings import load_settings

    settings = load_settings()
    set_up_logging("WARNING" if settings.log_level == "INFO" else settings.log_level)
    # That Redis is away is said below, once and in words for a person.
    logging.getLogger("workers.dispatch").setLevel("ERROR")
    if wait is None:
        wait = settings.in_process or on_terminal()
    database = create_engine(settings.database)
    require_current(database)
    run = Run(
        settings=settings,
        database=database,
        wait=wait,
        reclassify=Reclassify(below, model_older) if reclassify else None,
        started=time.monotonic(),
    )
    sys.exit(run.ingest(paths, manifest, as_json))


def _manifest_bytes(manifest: str) -> bytes:
    with sys.stdin.buffer if manifest == "-" else Path(manifest).open("rb") as stream:
        data = stream.read(_MAX_MANIFEST_BYTES + 1)
    if len(data) > _MAX_MANIFEST_BYTES:
        raise click.UsageError(
            f"the manifest has over {_MAX_MANIFEST_BYTES:,} bytes: give it in parts"
        )
    return data


def _exists(path: str) -> bool:
    return os.path.lexists(path)


@dataclass(slots=True)
class Run:
    """One ingest, from finding to the last line printed."""

    settings: "Settings"
    database: "Engine"
    wait: bool
    reclassify: "Reclassify | None"
    started: float

    def ingest(self, paths: tuple[str, ...], manifest: str | None, as_json: bool) -> Exit:
        """Run it and return the exit code."""
        from tasks.finding import Ignored, Locator, find
        from tasks.manifest import find_listed, read_manifest

        ignored = Ignored()
        bad: list[BadLine] = []
        locator = Locator(self.settings)

        def found() -> Iterator["FoundSound"]:
            walked: list[tuple[str, str]] = []
            for sound in find(paths, locator, ignored):
                if manifest is not None:
                    walked.append((sound.root, sound.path))
                yield sound
            if manifest is not None:
                yield from find_listed(
                    read_manifest(_manifest_bytes(manifest)), locator, bad, walked
                )

        for path in paths:
            locator.place(_resolved(path))  # refuse before anything is written
        if manifest not in (None, "-"):
            Path(str(manifest)).open("rb").close()
        source = ", ".join([*paths[:3], *([f"manifest {manifest}"] if manifest else [])])
        with sounds_progress() as progress:
            if self.settings.in_process:
                submission, ended = self._here(found(), source, ignored, progress)
            else:
                submission, ended = self._through_queue(found(), source, ignored, progress)
        return report(self, submission, ended, ignored, bad, as_json)

    def _submit(
        self, found: Iterable["FoundSound"], source: str, ignored: "Ignored", progress: "Progress"
    ) -> "Submission":
        from tasks.producer import submit_found

        finding = progress.add_task("finding sounds", total=None)

        def show(state: "Submission") -> None:
            progress.update(finding, completed=state.found)

        submission = submit_found(
            found,
            source=path_text(source),
            settings=self.settings,
            database=self.database,
            ignored=ignored,
            reclassify=self.reclassify,
            on_progress=show,
        )
        progress.remove_task(finding)
        return submission

    def _here(
        self, found: Iterable["FoundSound"], source: str, ignored: "Ignored", progress: "Progress"
    ) -> "tuple[Submission, IngestProgress | None]":
        """Classify in this process, after what earlier runs left unfinished."""
        from workers import inprocess

        context = inprocess.create_context(self.settings)
        try:
            inprocess.recover(context)
            left = self._open_sounds()
            if left:
                tell(f"finishing {left:,} sounds that an earlier run left in the ledger")
                task = progress.add_task("finishing an earlier run", total=left)
                inprocess.work_off(
                    context,
                    on_batch=lambda: progress.update(task, completed=left - self._open_sounds()),
                )
                progress.remove_task(task)
                tell("done with the earlier run")
            submission = self._submit(found, source, ignored, progress)
            if not self.wait:
                return submission, None
            task = progress.add_task("classifying", total=submission.enqueued)
            inprocess.work_off(
                context,
                ingest_id=submission.ingest_id,
                on_batch=lambda: self._show(progress, task, submission.ingest_id),
            )
            return submission, self._progress_of(submission.ingest_id)
        except KeyboardInterrupt:
            progress.stop()
            tell(
                f"stopped; {self._open_sounds():,} sounds wait in the ledger, and the next "
                "`cratesort ingest` goes on with them"
            )
            sys.exit(Exit.INTERRUPTED)
        finally:
            context.database.dispose()
            if context.note is not None:
                context.note.remove()

    def _through_queue(
        self, found: Iterable["FoundSound"], source: str, ignored: "Ignored", progress: "Progress"
    ) -> "tuple[Submission, IngestProgress | None]":
        """Hand over to the workers, and wait for them if asked to."""
        submission = self._submit(found, source, ignored, progress)
        if submission.broker_away is not None:
            tell(
                f"warning: Redis cannot be reached ({submission.broker_away}). The ledger has the "
                "work; it will be published when Redis is back."
            )
        if not self.wait:
            return submission, None
        task = progress.add_task("classifying", total=submission.enqueued)
        try:
            ended = self._wait(submission, progress, task)
        except KeyboardInterrupt:
            tell("stopped waiting; the workers go on. `cratesort status` shows how far they are.")
            sys.exit(Exit.INTERRUPTED)
        return submission, ended

    def _wait(
        self, submission: "Submission", progress: "Progress", task: "TaskID"
    ) -> "IngestProgress":
        from workers.app import build_app
        from workers.context import WorkContext
        from workers.faults import is_worlds, plain
        from workers.housekeeping import sweep

        app = build_app(self.settings)
        context = WorkContext.create(self.settings)
        swept = moved = time.monotonic()
        told = False
        open_before = -1
        while True:
            state = self._progress_of(submission.ingest_id)
            progress.update(task, completed=state.classified + state.failed)
            if state.finished:
                return state
            moment = time.monotonic()
            if state.open_batches != open_before:
                open_before, moved = state.open_batches, moment
            elif moment - moved > _PATIENCE_SECONDS and not told:
                told = True
                why = (
                    "Redis is away, so no worker hears of the work"
                    if submission.broker_away
                    else "is a worker running? Start one with `cratesort worker`"
                )
                tell(
                    f"nothing was finished for {_PATIENCE_SECONDS:.0f} s: {why}; "
                    "`cratesort doctor` says more."
                )
            if moment - swept > self.settings.sweep_seconds:
                # Who waits may as well keep house: no work is lost where nobody runs beat.
                swept = moment
                try:
                    sweep(app, context)
                except Exception as error:
                    if not is_worlds(error):
                        raise
                    tell(f"warning: {plain(error)}")
            time.sleep(_POLL_SECONDS)

    def _show(self, progress: "Progress", task: "TaskID", ingest_id: int) -> None:
        state = self._progress_of(ingest_id)
        progress.update(task, completed=state.classified + state.failed)

    def _progress_of(self, ingest_id: int) -> "IngestProgress":
        from db.engine import reading
        from db.overview import progress

        with reading(self.database) as connection:
            return progress(connection, ingest_id=ingest_id)[0]

    def _open_sounds(self) -> int:
        from db.engine import reading
        from db.overview import open_sounds

        with reading(self.database) as connection:
            return open_sounds(connection)


def _resolved(path: str) -> bytes:
    return os.path.realpath(os.fsencode(path))
