"""The text of ``cratesort status``, printed once or updated every second."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from classifier.files.paths import printable
from cli.console.output import counted, print_line
from cli.console.text_tables import table_lines
from cli.console.wrapping import wrapped
from db.errors import is_unreachable, plain

if TYPE_CHECKING:
    from rich.text import Text

    from cli.status.snapshot import (
        InboxStatus,
        IngestStatus,
        RootStatus,
        Status,
        TrainingStatus,
    )

_REFRESH_SECONDS: Final = 1.0
_BAR_CELLS: Final = 16
#: On a narrow terminal the numbers matter more than the bar.
_NARROW_COLUMNS: Final = 70

#: The verdicts on a training run's model, as text.
_VERDICTS: Final = {"promoted": "promoted", "kept": "not promoted", "stored": "not decided"}

_STYLES: Final = {
    r"^(cratesort .*|Latest ingests|Workers, last minute|Without a category)$": "bold",
    r"^(the database does not|the last status|Unserved |Returned ).*": "red",
    r"[1-9][\d,]* failed": "red",
    r"[\d,]+/s( .* left)?": "cyan",
    "█+": "green",
    "░+": "dim",
}


def status_lines(status: "Status", width: int | None) -> list[str]:
    """Return a status as lines of text; sources of ingests are cut to fit into `width` cells."""
    sounds, labelled = status.sounds, sum(status.labelled.values())
    lines = [
        f"Sounds    {sounds.classified:,} classified, {sounds.failed:,} failed, "
        f"{sounds.needs_review:,} to review" + (f", {labelled:,} with a label" if labelled else ""),
        "Batches   " + ", ".join(f"{count:,} {state}" for state, count in status.batches.items()),
        f"Pace      {status.files_per_second:,.0f} files/s over the last minute",
        f"Model     {printable(status.model_version)}",
    ]
    if status.oldest_waiting_seconds is not None:
        lines.append(f"Waiting   oldest batch for {_duration(status.oldest_waiting_seconds)}")
    sentences = [line for root in status.roots for line in _root_lines(root)]
    if status.inbox is not None:
        sentences.append(_inbox_line(status.inbox))
    if status.training is not None:
        sentences.append(f"Training  {_training_line(status.training)}")
    for sentence in sentences:
        lines += wrapped(printable(sentence), width, " " * 10)
    lines += ["", *_ingest_lines(status.ingests, width)]
    if status.workers:
        hosts = [
            (
                name,
                f"{counted(host.processes, 'process', 'processes')}, "
                f"{counted(host.running_batches, 'batch', 'batches')} running, "
                f"{host.files_per_second:,.0f}/s",
            )
            for name, host in status.workers.items()
        ]
        lines += ["", "Workers, last minute", *table_lines(hosts, "<<", cut=0, width=width)]
    if status.errors:
        lines += ["", "Without a category", *table_lines(list(status.errors.items()), "<>")]
    if sounds.given_up:
        given_up = counted(sounds.given_up, "sound was", "sounds were")
        hint = f"{given_up} given up after repeated failures; to retry: cratesort retry --failed"
        lines += ["", *wrapped(hint, width)]
    return lines


def _root_lines(root: "RootStatus") -> list[str]:
    """Return a line if no worker serves the root, and a line if batches came back."""
    of_root = f" of library root {root.root!r}" if root.root else ""
    lines = []
    if root.unserved:
        lines.append(
            f"Unserved  no batch{of_root} claimed for {_duration(root.unclaimed_seconds)}; is a "
            "worker with this root running?"
        )
    if root.returned:
        batches = counted(root.returned, f"batch{of_root}", f"batches{of_root}")
        lines.append(
            f"Returned  {batches}, up to {counted(root.setbacks, 'time')} in a row: "
            f"{root.reason or 'no reason is recorded'}"
        )
    return lines


def _training_line(run: "TrainingStatus") -> str:
    number = f"run {run.run_id}"
    if run.lease_expired:
        return (
            f"{number} stopped responding ({run.stage or 'at its start'}); it will be closed as "
            "failed"
        )
    if run.state == "running":
        return f"{number} since {run.started_at}: {run.stage or 'starting'}"
    model = "" if run.model_version is None else f": model {run.model_version}"
    outcome = _VERDICTS.get(run.verdict or "", "failed")
    return f"{number}{model} {outcome}, {run.finished_at}: {run.reason}"


def _inbox_line(inbox: "InboxStatus") -> str:
    if inbox.waiting is None:
        return f"Inbox     {inbox.fault}"
    line = f"Inbox     {inbox.waiting:,} waiting, {inbox.taken:,} taken"
    if inbox.dead:
        line += f", {inbox.dead:,} in the dead list"
    # A fleet that pushes nothing needs no intake.
    unserved = not inbox.intakes and (inbox.waiting or inbox.taken)
    return line + ("; no intake is running" if unserved else "")


def _ingest_lines(ingests: "list[IngestStatus]", width: int | None) -> list[str]:
    """Return a line for each ingest, unfinished ones first."""
    if not ingests:
        return ["No ingest yet"]
    rows = []
    for ingest in sorted(ingests, key=lambda ingest: ingest.finished):
        done, total = ingest.classified + ingest.failed, ingest.enqueued
        share = done / total if total else 1.0
        bar = "█" * int(share * _BAR_CELLS)
        rows.append(
            (
                str(ingest.ingest_id),
                bar.ljust(_BAR_CELLS, "░") if width and width >= _NARROW_COLUMNS else "",
                f"{int(100 * share)}%",
                f"{done:,}/{total:,}",
                f"{ingest.failed:,} failed" if ingest.failed else "",
                _pace(ingest, total - done),
                ingest.source,
            )
        )
    return ["Latest ingests", *table_lines(rows, "><>>>><", cut=6, width=width, gap=" ")]


def _pace(ingest: "IngestStatus", left: int) -> str:
    rate = ingest.files_per_second
    if ingest.finished:
        return "done"
    pace = f"{rate:,.0f}/s" if rate else "waiting"
    if not ingest.submitted:  # its producer is still at work, or was interrupted
        return f"{pace}, incomplete"
    # Without a rate the time left cannot be estimated.
    return f"{pace} {_duration(left / rate)} left" if rate else pace


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def watch_status(read: "Callable[[], Status]") -> None:
    """Show what `read` returns every second, until Ctrl-C.

    While the database is unreachable, the last status is shown with the reason, and the next read
    tries again. In a pipe the text is printed again every second.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    status: Status | None = None
    if not console.is_terminal:
        while True:
            status, away = _read_or_last(read, None)
            lines = [str(away)] if status is None else status_lines(status, None)
            print_line("\n".join([f"{_clock()} UTC", *lines, ""]))
            time.sleep(_REFRESH_SECONDS)
    # The alternate screen: afterwards the terminal shows what it showed before.
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            status, away = _read_or_last(read, status)
            width, height = console.size
            live.update(screen(status, away, width=width, height=height), refresh=True)
            time.sleep(_REFRESH_SECONDS)


def _read_or_last(
    read: "Callable[[], Status]", last: "Status | None"
) -> "tuple[Status | None, str | None]":
    try:
        return read(), None
    except Exception as error:
        if not is_unreachable(error):
            raise
        return last, printable(f"the database does not answer: {plain(error)}")


def screen(status: "Status | None", away: str | None, *, width: int, height: int) -> "Text":
    """Return what a terminal shows: no line wider than `width` cells, at most `height` lines.

    `status` is the latest that was read, if any; `away` is why the database does not answer now.
    """
    from rich.text import Text

    lines = [f"cratesort  {_clock()} UTC"]
    if away is not None:
        lines += [away, "the last status that was read:"] if status else [away]
    if status is not None:
        lines += status_lines(status, width)
    hidden = len(lines) - height
    if hidden > 0:
        lines = [*lines[: height - 1], f"... {hidden + 1} more lines"]
    texts = [Text(line) for line in lines]
    for text in texts:
        text.truncate(width, overflow="ellipsis")
        for pattern, style in _STYLES.items():
            text.highlight_regex(re.compile(pattern), style)
    return Text("\n", no_wrap=True).join(texts)


def _clock() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S")
