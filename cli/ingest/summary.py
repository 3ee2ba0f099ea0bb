"""The outcome of ``cratesort ingest`` and ``retry``, as text and as JSON."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from classifier.files.extensions import UNREAD_AUDIO_EXTENSIONS
from classifier.files.paths import printable
from cli.console.exit_codes import Exit
from cli.console.output import counted, print_json, say, tell
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
    ended: "IngestProgress | None",
    source: "FileSource",
    as_json: bool,
) -> Exit:
    """Print the outcome of an ingest, and return its exit code.

    `ended` is None when the command did not wait for the end.
    """
    seconds = time.monotonic() - run.started
    ignored = source.ignored
    _warn(submission, source)
    if as_json:
        counts = ("found", "skipped_unchanged", "ignored", "enqueued", "gone", "moved")
        outcome = _as_dict(submission, counts, ended, seconds)
        outcome |= {
            "passed_over": dict(ignored.counts),
            "unsupported_format": ignored.unsupported_format,
        }
        if source.bad_line_count:
            outcome["bad_lines"] = source.bad_line_count
        print_json(outcome)
    elif submission.found or not submission.empty:
        left = {"gone": submission.gone, "moved": submission.moved}
        say(
            f"{counted(submission.found, 'sound')} found, "
            f"{submission.skipped_unchanged:,} unchanged"
            + "".join(f", {count:,} {what}" for what, count in left.items() if count)
        )
        if submission.gone > submission.found:
            say("more are gone than found: if a mount is away, they return with the next ingest")
        if ignored.counts:
            say(_passed_over(ignored))
        if not submission.found and not ignored.storage_failed:
            say("nothing here looks like a sound")
        if submission.skipped_failed:
            say(f"{submission.skipped_failed:,} of the unchanged have no category")
        _print_ended(run, submission, ended, seconds)
    if submission.empty or ignored.storage_failed:
        return Exit.UNREACHABLE
    failed = submission.skipped_failed + (ended.failed if ended else 0)
    return Exit.SOME_FAILED if failed or source.bad_line_count or ignored.folders else Exit.DONE


def _warn(submission: "Submission", source: "FileSource") -> None:
    for line in source.bad_lines:
        tell(f"manifest {line}")
    if more := source.bad_line_count - len(source.bad_lines):
        tell(f"manifest: {more:,} more lines could not be taken")
    for folder in source.ignored.folders[:_SHOWN_FOLDERS]:
        tell(f"warning: not walked: {folder}")
    for folder, known in list(submission.empty.items())[:_SHOWN_FOLDERS]:
        held = f", which removes {counted(known.labels, 'label')} with them" if known.labels else ""
        tell(
            f"{folder}: no sound is there of the {known.sounds:,} that the database knows below "
            "it; is it mounted? None is taken for gone. If they are: remove the folder if it is "
            "empty and ingest the one above it, which keeps labels, or cratesort forget "
            f"FOLDER{held}"
        )
    if (more := len(submission.empty) - _SHOWN_FOLDERS) > 0:
        tell(f"{counted(more, 'more folder')} like that")


def _passed_over(ignored: "Ignored") -> str:
    """Return the counts of skipped files by kind, in lines of at most 79 characters."""
    kinds = sorted(
        ignored.counts.most_common(), key=lambda kind: not _is_unsupported_format(kind[0])
    )
    parts = [_counted(*kind) for kind in kinds[:_SHOWN_KINDS]]
    if more := sum(count for _, count in kinds[_SHOWN_KINDS:]):
        parts.append(f"{more:,} of rarer kinds")
    lines = ["passed over:"]
    for part in parts:
        end = "" if part is parts[-1] else ","
        if len(lines[-1]) + len(part) + len(end) < 79:
            lines[-1] += f" {part}{end}"
        else:
            lines.append(f"  {part}{end}")
    return "\n".join(lines)


def _counted(kind: str, count: int) -> str:
    if _is_unsupported_format(kind):
        kind += " (audio that is not read yet)"
    elif count == 1 and not kind.startswith("."):
        kind = kind.removesuffix("s")
    return f"{count:,} {printable(kind)}"


def _is_unsupported_format(kind: str) -> bool:
    return kind.removeprefix(".") in UNREAD_AUDIO_EXTENSIONS


def report_retry(
    run: "Run", submission: "Submission", ended: "IngestProgress | None", as_json: bool
) -> Exit:
    """Print the outcome of a retry, and return its exit code."""
    seconds = time.monotonic() - run.started
    if as_json:
        print_json(_as_dict(submission, ("enqueued",), ended, seconds))
    elif submission.enqueued:
        say(f"tried again: {counted(submission.enqueued, 'sound')} without a category")
        _print_ended(run, submission, ended, seconds)
    else:
        say("no sound failed like that; there is nothing to try again")
    return Exit.SOME_FAILED if ended is not None and ended.failed else Exit.DONE


def _as_dict(
    submission: "Submission", counts: Sequence[str], ended: "IngestProgress | None", seconds: float
) -> dict[str, Any]:
    report = {name: getattr(submission, name) for name in ("ingest_id", *counts)}
    if ended is not None:
        report |= {"classified": ended.classified, "failed": ended.failed}
        report["seconds"] = round(seconds, 3)
    return report


def _print_ended(
    run: "Run", submission: "Submission", ended: "IngestProgress | None", seconds: float
) -> None:
    if ended is None:
        if not submission.enqueued:
            say("nothing new for the ledger")
            return
        where = (
            "`cratesort ingest` (any path) works on them"
            if run.settings.in_process
            else "workers classify them; `cratesort status` shows how far they are"
        )
        say(f"{submission.enqueued:,} in the ledger; {where}")
        return
    pace = (ended.classified + ended.failed) / max(seconds, 1e-9)
    say(
        f"{ended.classified:,} classified, {ended.failed:,} failed, in {seconds:.1f} s"
        + (f" ({pace:,.0f} files/s)" if submission.enqueued else "")
    )
    _print_table(run.database, ended.failed + submission.skipped_failed)


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
            say(f"  {labelled:,} of them by their label, the others by the model")
    if counts.errors and failed:
        say()
        say("Without a category:")
        print_table(list(counts.errors.items()), "<>")
        say("  each with its reason: cratesort results --failed")
    say()
    say("See them: cratesort results      As a table: cratesort results --format csv")
