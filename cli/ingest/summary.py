"""The outcome of ``cratesort ingest`` and ``retry``, as text and as JSON."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from classifier.errors import ErrorCode
from classifier.files.extensions import UNREAD_AUDIO_EXTENSIONS
from classifier.files.paths import printable
from cli.console.exit_codes import Exit
from cli.console.output import closed_pipe_ignored, counted, print_json, say, tell
from cli.console.text_tables import print_table

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from cli.ingest.execution import Run
    from db.reporting.ingest_progress import IngestProgress
    from tasks.producer.discovery import Ignored
    from tasks.producer.file_source import FileSource
    from tasks.producer.submission import Submission

_SHOWN_FOLDERS: Final = 10
_SHOWN_KINDS: Final = 12


def report(
    run: "Run",
    submission: "Submission",
    final: "IngestProgress | None",
    source: "FileSource",
    as_json: bool,
) -> Exit:
    """Print the outcome of an ingest, and return its exit code.

    `final` is None when the command did not wait for the end.
    """
    seconds = time.monotonic() - run.started
    ignored = source.ignored
    _warn(submission, source)
    with closed_pipe_ignored():
        if as_json:
            counts = ("found", "skipped_unchanged", "ignored", "enqueued", "gone", "moved")
            outcome = _as_dict(submission, counts, final, seconds)
            outcome |= {
                "passed_over": dict(ignored.counts),
                "unsupported_format": ignored.unsupported_format,
            }
            if source.bad_line_count:
                outcome["bad_lines"] = source.bad_line_count
            print_json(outcome)
        elif submission.found or not submission.empty:
            changes = {"gone": submission.gone, "moved": submission.moved}
            say(
                f"{counted(submission.found, 'sound')} found, "
                f"{submission.skipped_unchanged:,} unchanged"
                + "".join(f", {count:,} {change}" for change, count in changes.items() if count)
            )
            if submission.gone > submission.found:
                say("more gone than found; if a mount is missing, mount it and ingest again")
            if ignored.counts:
                say(_ignored_files(ignored))
            if not submission.found and not ignored.storage_failed:
                say("no audio files found")
            if failed_before := submission.skipped_failed:
                without = "sound has" if failed_before == 1 else "sounds have"
                say(f"{failed_before:,} unchanged {without} no category: cratesort retry --failed")
            _print_outcome(run, submission, final, seconds)
    if submission.empty or ignored.storage_failed:
        return Exit.UNREACHABLE
    failed = submission.skipped_failed + (final.failed if final else 0)
    return Exit.SOME_FAILED if failed or source.bad_line_count or ignored.folders else Exit.DONE


def _warn(submission: "Submission", source: "FileSource") -> None:
    for line in source.bad_lines:
        tell(f"manifest {line}")
    if more := source.bad_line_count - len(source.bad_lines):
        tell(f"manifest: {counted(more, 'more invalid line')}")
    for folder in source.ignored.folders[:_SHOWN_FOLDERS]:
        tell(f"warning: folder not read: {folder}")
    for folder, vanished in list(submission.empty.items())[:_SHOWN_FOLDERS]:
        labels = f", which removes {counted(vanished.labels, 'label')}" if vanished.labels else ""
        tell(
            f"{folder}: no sounds found, but the database has {counted(vanished.sounds, 'sound')} "
            "below it; is it mounted? Nothing was marked as gone. If the files were deleted: "
            "remove the folder if it is empty and ingest its parent, which keeps the labels, or "
            f"run `cratesort forget FOLDER`{labels}"
        )
    if (more := len(submission.empty) - _SHOWN_FOLDERS) > 0:
        tell(f"{counted(more, 'more folder')} without any of the known sounds")


def _ignored_files(ignored: "Ignored") -> str:
    """Return the counts of ignored files by kind, in lines of at most 79 characters."""
    kinds = sorted(
        ignored.counts.most_common(), key=lambda kind: not _is_unsupported_format(kind[0])
    )
    parts = [_counted_kind(*kind) for kind in kinds[:_SHOWN_KINDS]]
    if more := sum(count for _, count in kinds[_SHOWN_KINDS:]):
        parts.append(f"{more:,} of other kinds")
    lines = ["ignored:"]
    for part in parts:
        end = "" if part is parts[-1] else ","
        if len(lines[-1]) + len(part) + len(end) < 79:
            lines[-1] += f" {part}{end}"
        else:
            lines.append(f"  {part}{end}")
    return "\n".join(lines)


def _counted_kind(kind: str, count: int) -> str:
    if _is_unsupported_format(kind):
        kind += " (unsupported audio format)"
    elif count == 1 and not kind.startswith("."):
        kind = kind.removesuffix("s")
    return f"{count:,} {printable(kind)}"


def _is_unsupported_format(kind: str) -> bool:
    return kind.removeprefix(".") in UNREAD_AUDIO_EXTENSIONS


def report_retry(
    run: "Run",
    submission: "Submission",
    final: "IngestProgress | None",
    code: ErrorCode | None,
    as_json: bool,
) -> Exit:
    """Print the outcome of a retry of the sounds with an error code, and return its exit code."""
    seconds = time.monotonic() - run.started
    with closed_pipe_ignored():
        if as_json:
            print_json(_as_dict(submission, ("enqueued",), final, seconds))
        elif submission.enqueued:
            say(f"retrying {counted(submission.enqueued, 'sound')} without a category")
            _print_outcome(run, submission, final, seconds)
        else:
            with_code = f" with the error code {code}" if code else ""
            say(f"no failed sounds{with_code} to retry")
    return Exit.SOME_FAILED if final is not None and final.failed else Exit.DONE


def _as_dict(
    submission: "Submission", counts: Sequence[str], final: "IngestProgress | None", seconds: float
) -> dict[str, Any]:
    report = {name: getattr(submission, name) for name in ("ingest_id", *counts)}
    if final is not None:
        report |= {"classified": final.classified, "failed": final.failed}
        report["seconds"] = round(seconds, 3)
    return report


def _print_outcome(
    run: "Run", submission: "Submission", final: "IngestProgress | None", seconds: float
) -> None:
    if final is None:
        if not submission.enqueued:
            say("nothing to classify")
            return
        hint = (
            "the next `cratesort ingest` classifies them"
            if run.settings.in_process
            else "workers classify them; `cratesort status` shows their progress"
        )
        say(f"{counted(submission.enqueued, 'sound')} queued; {hint}")
        return
    pace = (final.classified + final.failed) / max(seconds, 1e-9)
    say(
        f"{final.classified:,} classified, {final.failed:,} failed, in {seconds:.1f} s"
        + (f" ({pace:,.0f} files/s)" if submission.enqueued else "")
    )
    _print_table(run.database, final.failed + submission.skipped_failed)


def _print_table(database: "Engine", failed: int) -> None:
    from db.engine import reading
    from db.reporting.counts import sound_counts

    with reading(database) as connection:
        counts = sound_counts(connection)
    if counts.categories:
        say()
        say("All sounds by category:")
        widest = max(counts.categories.values())
        print_table(
            [
                (category, count, "█" * max(1, round(30 * count / widest)))
                for category, count in counts.categories.items()
            ],
            "<><",
        )
        if labelled := sum(counts.labelled.values()):
            say(f"  {labelled:,} by a label, the others by the model")
    if counts.errors and failed:
        say()
        say("Without a category:")
        print_table(list(counts.errors.items()), "<>")
        say("  list them with the reasons: cratesort results --failed")
    say()
    say("List them: cratesort results      As a table: cratesort results --format csv")
