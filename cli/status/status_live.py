"""``cratesort status --watch``: the same rows, counted anew every second.

On a terminal a view that fills it, the most urgent first and cut at its last line; in a pipe the
plain text, again and again.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from classifier.files.paths import printable
from cli.console.output import say, shorten, terminal_width
from cli.status.status_text import inbox_line, plain_lines, training_line
from db.errors import is_away, plain

_REFRESH_SECONDS: Final = 1.0
_BAR_CELLS: Final = 16
#: On a narrow terminal the numbers matter more than the bar.
_NARROW_COLUMNS: Final = 70
#: What is left of a source below this tells nothing.
_SHORTEST_SOURCE_CELLS: Final = 8


def watch_status(ask: Callable[[], dict[str, Any]]) -> None:
    """Show what `ask` returns every second, until Ctrl-C.

    A database that goes away is told, with what was last known, and asked again.

    Parameters
    ----------
    ask : callable
        Returns what ``cratesort status --json`` prints.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        _watch_in_a_pipe(ask)
        return
    state: dict[str, Any] | None = None
    # The other screen: what stood on the terminal is there again afterwards.
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            state, away = _asked(ask, state)
            width, height = console.size
            live.update(view(state, away, width=width, height=height), refresh=True)
            time.sleep(_REFRESH_SECONDS)


def _watch_in_a_pipe(ask: Callable[[], dict[str, Any]]) -> None:
    while True:
        state, away = _asked(ask, None)
        say(f"{_clock()} UTC")
        for line in plain_lines(state, terminal_width()) if state else [printable(str(away))]:
            say(line)
        say()
        time.sleep(_REFRESH_SECONDS)


def _asked(
    ask: Callable[[], dict[str, Any]], last: dict[str, Any] | None
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the state and, when the database does not answer, the last one and why."""
    try:
        return ask(), None
    except Exception as error:
        if not is_away(error):
            raise
        return last, f"the database does not answer: {plain(error)}"


def view(state: dict[str, Any] | None, away: str | None, *, width: int, height: int) -> Text:
    """Return the screen: no line longer than `width`, no more lines than `height`.

    Parameters
    ----------
    state : dict or None
        As ``cratesort status --json`` prints it; None when nothing is known yet.
    away : str or None
        Why the database was not asked just now.
    width, height : int
        In terminal cells and lines.
    """
    lines = [Text(f"cratesort  {_clock()} UTC", style="bold")]
    if away is not None:
        lines.append(Text(printable(away), style="bold red"))
        if state is not None:
            lines.append(Text("what follows is what it said last", style="red"))
    if state is not None:
        lines += _sections(state, width)
    hidden = len(lines) - height
    if hidden > 0:
        lines = [*lines[: height - 1], Text(f"... {hidden + 1} more lines", style="dim")]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def _sections(state: dict[str, Any], width: int) -> list[Text]:
    sounds = state["sounds"]
    lines = [
        Text(f"Model     {printable(state['model_version'])}"),
        Text.assemble(
            f"Sounds    {sounds['classified']:,} classified, ",
            (f"{sounds['failed']:,} failed", "red" if sounds["failed"] else ""),
            f", {sounds['needs_review']:,} to review",
        ),
        Text("Batches   " + ", ".join(f"{n:,} {name}" for name, n in state["batches"].items())),
    ]
    if state["oldest_waiting_seconds"] is not None:
        lines.append(Text(f"Waiting   the oldest for {_duration(state['oldest_waiting_seconds'])}"))
    if state.get("inbox") is not None:
        lines.append(Text(inbox_line(state["inbox"])))
    if state["training"] is not None:
        lines.append(Text(printable(training_line(state["training"]))))
    lines += _ingests(state["ingests"], width)
    lines += _workers(state["workers"], width)
    if state["errors"]:
        lines += [Text(), Text("Without a category", style="bold")]
        lines += [Text(f"  {code:<19}{n:>9,}") for code, n in state["errors"].items()]
    return lines


def _ingests(ingests: list[dict[str, Any]], width: int) -> list[Text]:
    """Return the open ones first: the others change no more."""
    if not ingests:
        return [Text(), Text("No ingest yet", style="dim")]
    lines = [Text(), Text("Ingests", style="bold")]
    for ingest in sorted(ingests, key=lambda one: one["finished"]):
        done, total = ingest["classified"] + ingest["failed"], ingest["enqueued"]
        share = done / total if total else 1.0
        filled = int(share * _BAR_CELLS)
        line = Text(f"  {ingest['ingest_id']:>4} ")
        if width >= _NARROW_COLUMNS:
            # Two characters, for a terminal without colours.
            line.append("█" * filled, style="green")
            line.append("░" * (_BAR_CELLS - filled) + " ", style="dim")
        line.append(f"{int(100 * share):>3}% {done:,}/{total:,} ")
        line.append(f"{ingest['failed']:,} failed " if ingest["failed"] else "", style="red")
        line.append(_how(ingest, total - done) + " ", style="cyan")
        room = width - line.cell_len
        if room >= _SHORTEST_SOURCE_CELLS:
            line.append(shorten(ingest["source"], room).rstrip())
        lines.append(line)
    return lines


def _how(ingest: dict[str, Any], left: int) -> str:
    if ingest["finished"]:
        return "done"
    rate = ingest["files_per_second"]
    # The producer may still be adding, and without a rate a time left would be made up.
    if not ingest["submitted"] or not rate:
        return f"{rate:,.0f}/s" if rate else "waits"
    return f"{rate:,.0f}/s {_duration(left / rate)} left"


def _workers(hosts: dict[str, dict[str, Any]], width: int) -> list[Text]:
    lines = [Text(), Text("Workers, last minute", style="bold")]
    if not hosts:
        return [*lines, Text("  none holds or finished a batch", style="dim")]
    name_cells = 20 if width >= _NARROW_COLUMNS else 10
    for name, host in hosts.items():
        lines.append(
            Text(
                f"  {shorten(name, name_cells)} {host['processes']:>3} processes, "
                f"{host['batches_in_hand']:,} in hand, {host['files_per_second']:,.0f}/s"
            )
        )
    return lines


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _clock() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S")
