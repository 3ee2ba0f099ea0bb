"""The plain text of ``cratesort status``: for a person, a pipe or a log."""

from typing import Any

from classifier.files.paths import printable
from cli.console.output import shorten


def training_line(run: dict[str, Any]) -> str:
    """Return what became of the last training run."""
    number = f"Training  run {run['run_id']}"
    if run["silent"]:
        return f"{number} fell silent ({run['stage'] or 'at its beginning'}); it will be closed"
    if run["state"] == "running":
        return f"{number} since {run['started_at']}: {run['stage'] or 'beginning'}"
    how = run["verdict"] or "failed"
    model = "" if run["model_version"] is None else f" model {run['model_version']}"
    return f"{number} {how}{model}, {run['finished_at']}: {run['reason']}"


def inbox_line(inbox: dict[str, int | None]) -> str:
    """Return what the inbox holds, and whether anybody serves it."""
    if inbox["waiting"] is None:
        return "Inbox     Redis does not answer"
    line = f"Inbox     {inbox['waiting']:,} waiting, {inbox['taken']:,} taken"
    if inbox["dead"]:
        line += f", {inbox['dead']:,} in its dead list"
    # A fleet may well do without; entries may not.
    unserved = not inbox["intakes"] and (inbox["waiting"] or inbox["taken"])
    return line + ("; no intake serves it" if unserved else "")


def plain_lines(state: dict[str, Any], width: int) -> list[str]:
    """Return the state in lines; sources are cut to `width` columns."""
    sounds, batches = state["sounds"], state["batches"]
    lines = [
        f"Sounds    {sounds['classified']:,} classified, {sounds['failed']:,} failed, "
        f"{sounds['needs_review']:,} to review",
        "Batches   " + ", ".join(f"{count:,} {name}" for name, count in batches.items()),
        f"Pace      {state['files_per_second']:,.0f} files/s over the last minute",
        f"Model     {printable(state['model_version'])}",
    ]
    if state["inbox"] is not None:
        lines.insert(2, inbox_line(state["inbox"]))
    if state["training"] is not None:
        lines.append(printable(training_line(state["training"])))
    if state["ingests"]:
        lines += ["", "Latest ingests"]
    for ingest in state["ingests"]:
        done = ingest["classified"] + ingest["failed"]
        how = "done" if ingest["finished"] else "open" if ingest["submitted"] else "cut short"
        counted = f"{done:,} of {ingest['enqueued']:,}"
        left = f"  {ingest['ingest_id']:>5}  {how:<9}  {counted:>21}  "
        lines.append(left + shorten(ingest["source"], max(10, width - len(left) - 1)).rstrip())
    if state["errors"]:
        lines += ["", "Without a category"]
        lines += [f"  {code:<19}{count:>9,}" for code, count in state["errors"].items()]
    given_up = sounds["given_up"]
    if given_up:
        lines += [
            "",
            f"{given_up:,} given up (tried in vain); once the cause is fixed: "
            "cratesort retry --failed",
        ]
    return lines
