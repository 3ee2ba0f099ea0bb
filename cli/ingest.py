"""``cratesort ingest``: find sounds, write them to the ledger, and see them classified."""

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cli.exits import Exit
from cli.terminal import (
    command,
    on_terminal,
    print_json,
    say,
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
_SHOWN_FAULTS: Final = 10


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
            raise click.UsageError(f"{click.format_filename(path)}: no such file or folder")

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
    run = _Run(
        settings=settings,
        database=database,
        wait=wait,
        reclassify=Reclassify(below, model_older) if reclassify else None,
        started=time.monotonic(),
    )
    sys.exit(run.ingest(paths, manifest, as_json))


def _exists(path: str) -> bool:
    return os.path.lexists(path)


@dataclass(slots=True)
class _Run:
    """One ingest, from finding to the last line printed."""

    settings: "Settings"
    database: "Engine"
    wait: bool
    reclassify: "Reclassify | None"
    started: float

    def ingest(self, paths: tuple[str, ...], manifest: str | None, as_json: bool) -> Exit:
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
                data = sys.stdin.buffer.read() if manifest == "-" else Path(manifest).read_bytes()
                yield from find_listed(read_manifest(data), locator, bad, walked)

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
        return self._report(submission, ended, ignored, bad, as_json)

    def _submit(
        self, found: Iterable["FoundSound"], source: str, ignored: "Ignored", progress: "Progress"
    ) -> "Submission":
        from classifier.paths import path_text
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

    def _report(
        self,
        submission: "Submission",
        ended: "IngestProgress | None",
        ignored: "Ignored",
        bad: "list[BadLine]",
        as_json: bool,
    ) -> Exit:
        seconds = time.monotonic() - self.started
        for fault in bad[:_SHOWN_FAULTS]:
            tell(f"manifest {fault}")
        if len(bad) > _SHOWN_FAULTS:
            tell(f"manifest: {len(bad) - _SHOWN_FAULTS:,} more lines could not be taken")
        for folder in ignored.folders[:_SHOWN_FAULTS]:
            tell(f"warning: not walked: {folder}")
        if as_json:
            report: dict[str, Any] = {
                "ingest_id": submission.ingest_id,
                "found": submission.found,
                "skipped_unchanged": submission.skipped_unchanged,
                "ignored": submission.ignored,
                "enqueued": submission.enqueued,
            }
            if ended is not None:
                report["classified"] = ended.classified
                report["failed"] = ended.failed
                report["seconds"] = round(seconds, 3)
            if bad:
                report["bad_lines"] = len(bad)
            print_json(report)
        else:
            self._print_summary(submission, ended, ignored, seconds)
        failed = submission.skipped_failed + (ended.failed if ended else 0)
        return Exit.SOME_FAILED if failed or bad or ignored.folders else Exit.DONE

    def _print_summary(
        self,
        submission: "Submission",
        ended: "IngestProgress | None",
        ignored: "Ignored",
        seconds: float,
    ) -> None:
        passed_over = ", ".join(f"{count:,} {why}" for why, count in sorted(ignored.counts.items()))
        say(
            f"{submission.found:,} sounds found, {submission.skipped_unchanged:,} unchanged"
            + (f"; passed over: {passed_over}" if passed_over else "")
        )
        if not submission.found:
            say("nothing here looks like a sound")
        if submission.skipped_failed:
            say(f"{submission.skipped_failed:,} of the unchanged have no category")
        if ended is None:
            where = (
                "`cratesort ingest` (any path) works on them"
                if self.settings.in_process
                else ("workers classify them; `cratesort status` shows how far they are")
            )
            say(f"{submission.enqueued:,} in the ledger; {where}")
            return
        pace = (ended.classified + ended.failed) / max(seconds, 1e-9)
        say(
            f"{ended.classified:,} classified, {ended.failed:,} failed, in {seconds:.1f} s"
            + (f" ({pace:,.0f} files/s)" if submission.enqueued else "")
        )
        self._print_table(ended.failed + submission.skipped_failed)

    def _print_table(self, failed: int) -> None:
        from db.engine import reading
        from db.overview import sound_counts

        with reading(self.database) as connection:
            counts = sound_counts(connection)
        if counts.categories:
            say()
            say("All sounds by category:")
            widest = max(counts.categories.values())
            for category, count in counts.categories.items():
                bar = "█" * max(1, round(30 * count / widest))
                say(f"  {category:<19}{count:>9,}  {bar}")
        if counts.errors and failed:
            say()
            say("Without a category:")
            for code, count in counts.errors.items():
                say(f"  {code:<19}{count:>9,}")
            say(f"  each with its reason: {command('results --failed')}")
        say()
        say(f"See them: {command('results')}      As a table: {command('results --format csv')}")


def _resolved(path: str) -> bytes:
    return os.path.realpath(os.fsencode(path))
