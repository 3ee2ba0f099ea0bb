"""What a run prints: a line for each fault, then what became of the work. 80 columns."""

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.history import History
from tests.chaos.invariant import Account

_WIDTH = 80
_EXAMPLES = 20


@dataclass
class Struck:
    """A kind of fault in a run.

    - `limit_seconds`: longest allowed time without a finished batch if the fault comes alone.
    - `longest_gap_seconds`: longest time without a finished batch around it, with other faults.
    """

    count: int = 0
    limit_seconds: float = 0.0
    longest_gap_seconds: float = 0.0


@dataclass
class Summary:
    """A run in numbers."""

    seed: int
    faults: dict[str, Struck] = field(default_factory=dict)
    own_ends: Counter[str] = field(default_factory=Counter)
    folders: int = 0
    submitted: int = 0
    refused: int = 0
    #: From the last fault to the empty backlog; None: it was never empty.
    settled_after_seconds: float | None = None
    account: Account = field(default_factory=Account)
    history: History = field(default_factory=History)
    #: Longest time without a finished batch while work was open.
    longest_gap_seconds: float = 0.0


def heading(seed: int, seconds: float, kinds: int, database: str, folder: str) -> None:
    """Print the parameters of the run."""
    print(f"chaos: seed {seed}, {seconds:.0f} s, {kinds} kinds of fault, on {database}")
    print("the seed decides faults, times and targets, but not the state that they meet")
    print(f"logs: {folder}", flush=True)


def fault_line(offset_seconds: float, name: str, hit: str) -> None:
    """Print one line of the fault log."""
    print(f"{offset_seconds:6.1f} s  {name:<31}{hit}"[:_WIDTH], flush=True)


def print_at(offset_seconds: float, text: str) -> None:
    """Print what the run itself does, between the faults."""
    print(f"{offset_seconds:6.1f} s  -- {text}"[:_WIDTH], flush=True)


def table(summary: Summary) -> None:
    """Print the numbers."""
    account = summary.account
    print()
    count = sum(struck.count for struck in summary.faults.values())
    print(f"{count:6} faults of {len(summary.faults)} kinds; gap: time without a finished batch")
    for name, struck in sorted(summary.faults.items()):
        print(
            f"{struck.count:12} {name:<31} gap {struck.longest_gap_seconds:5.1f} s, "
            f"limit alone {struck.limit_seconds:.0f} s"
        )
    _counts("services ended by themselves and were restarted", summary.own_ends)
    print(f"{summary.submitted:6} files in {summary.folders} folders submitted")
    print(f"{summary.refused:6} ingests retried (database unreachable, or killed)")
    print(f"{account.rows:6} rows, {account.gone} of gone files")
    print(f"{account.labels_kept:6} labels kept")
    _counts("rows by outcome", account.outcomes)
    _counts("state changes of batches", summary.history.steps)
    for state in ("pending", "queued", "running"):
        stood = summary.history.longest_seconds.get(state, 0.0)
        print(f"{stood:6.1f} s longest time of a batch in state {state}")
    whole = summary.history.longest_open_seconds
    print(f"{whole:6.1f} s longest time from the creation of a batch to its end")
    print(f"{summary.longest_gap_seconds:6.1f} s longest time without a finished batch")
    settled = summary.settled_after_seconds
    shown = "never" if settled is None else f"{settled:6.1f} s"
    print(f"{shown} from the last fault to the empty backlog")


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
