"""What a run prints: a line for each fault, then what became of the work. 80 columns."""

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.invariant import Account

_WIDTH = 80
_EXAMPLES = 20


@dataclass
class Summary:
    """A run in numbers."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    own_ends: Counter[str] = field(default_factory=Counter)
    folders: int = 0
    submitted: int = 0
    refused: int = 0
    #: From the last fault to the empty backlog; None: it never was.
    settled_after_seconds: float | None = None
    account: Account = field(default_factory=Account)


def heading(seed: int, seconds: float, kinds: int, folder: str) -> None:
    """Say what is about to happen."""
    print(f"chaos: seed {seed}, {seconds:.0f} s, {kinds} kinds of fault")
    print(
        "the seed decides which faults come, when and to whom; whom they find at what, it does not"
    )
    print(f"logs: {folder}", flush=True)


def fault_line(offset_seconds: float, name: str, hit: str) -> None:
    """Print one line of the fault log."""
    print(f"{offset_seconds:6.1f} s  {name:<31}{hit}"[:_WIDTH], flush=True)


def say(offset_seconds: float, text: str) -> None:
    """Print what the run itself does, between the faults."""
    print(f"{offset_seconds:6.1f} s  -- {text}"[:_WIDTH], flush=True)


def table(summary: Summary) -> None:
    """Print the numbers."""
    account = summary.account
    print()
    _counts("faults", summary.faults)
    _counts("ended by themselves, started again", summary.own_ends)
    print(f"{summary.submitted:6} files in {summary.folders} folders handed in")
    print(f"{summary.refused:6} ingests that promised nothing (database away, killed), repeated")
    print(f"{account.rows:6} rows")
    _counts("rows by outcome", account.outcomes)
    settled = summary.settled_after_seconds
    print("from the last fault to the empty backlog: " + _seconds(settled))
    print(f"longest from a last message to its claim: {_seconds(account.longest_queued_seconds)}")
    print(f"longest from a last claim to its end:     {_seconds(account.longest_running_seconds)}")
    print(f"longest from a batch's row to its end:    {_seconds(account.longest_open_seconds)}")


def verdict(summary: Summary, wrong: list[str]) -> None:
    """Print whether the invariant held."""
    print()
    if not wrong:
        print("invariant: held")
        return
    print(f"invariant: BROKEN: {len(wrong)} times, seed {summary.seed}")
    for example in wrong[:_EXAMPLES]:
        print(f"  {example}")
    if len(wrong) > _EXAMPLES:
        print(f"  and {len(wrong) - _EXAMPLES} more")


def _counts(title: str, counts: Counter[str]) -> None:
    if not counts:
        return
    print(f"{counts.total():6} {title}")
    for name, count in sorted(counts.items()):
        print(f"{count:12} {name}")


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"
