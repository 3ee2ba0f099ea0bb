"""The run: ``python -m tests.chaos --seconds 60 --seed 1``."""

import argparse
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Final

from classifier.bundle.starter import starter_version
from db.engine import create_engine
from db.errors import DATABASE_AWAY
from tests.chaos import report
from tests.chaos.errands import Errands
from tests.chaos.faults import Drawn, Fault, Scene, plan, strike
from tests.chaos.history import History, read_history
from tests.chaos.ingests import Ingests
from tests.chaos.invariant import count_done, open_batches, take_account, unfair
from tests.chaos.kinds import KINDS
from tests.chaos.library import Library
from tests.chaos.report import Struck, Summary
from tests.chaos.world import OTHER_MODEL, World
from tests.support.processes import READY

#: How long nothing may be finished once nothing disturbs the fleet any more: the longest back-off
#: of a batch that came back, and some leases, one after the other, of one that is narrowed down.
_BACK_OFF_SECONDS: Final = 300.0
_PATIENCE_LEASES: Final = 8
#: To start, and for one worker to finish some small batches.
_SOON_SECONDS: Final = 120.0
_TICK_SECONDS: Final = 0.02
#: About what a minute's faults leave of its work.
_MOST_OPEN_BATCHES: Final = 100
_LOOK_SECONDS: Final = 0.25
_REPORT_SECONDS: Final = 10.0


class Run:
    """One run, from the first folder to the verdict."""

    def __init__(
        self, world: World, seed: int, kinds: tuple[Fault, ...], *, alone: bool = False
    ) -> None:
        self._world = world
        self._lease_seconds = world.lease_seconds
        self._patience_seconds = _BACK_OFF_SECONDS + _PATIENCE_LEASES * world.lease_seconds
        self._soon_seconds = _SOON_SECONDS + world.lease_seconds
        self._kinds = kinds
        self._alone = alone
        self._library = Library(world.folder / "library")
        self._ingests = Ingests(world, self._library)
        self._errands = Errands(world)
        self._scene = Scene(world, self._ingests, self._errands)
        #: Each fault, and when it began and was to end, in seconds since the epoch.
        self._struck: list[tuple[Drawn, float, float]] = []
        self._started = time.monotonic()
        self.summary = Summary(seed)
        self.wrong: list[str] = []

    @property
    def _offset(self) -> float:
        return time.monotonic() - self._started

    def begin(self) -> None:
        """Wait until the workers take messages; the run's time begins then."""
        ready = self._tend_until(
            lambda: all(READY["worker"].search(worker.log()) for worker in self._world.workers),
            self._soon_seconds,
            new_folders=False,
        )
        if not ready:
            raise TimeoutError(f"no worker became ready; its log is in {self._world.folder}")
        self._started = time.monotonic()

    def disturb(self, seconds: float) -> None:
        """Ingest folders and let faults happen for `seconds`."""
        faults = plan(
            self.summary.seed, seconds, self._kinds, self._lease_seconds, alone=self._alone
        )
        for drawn in faults:
            self._disturb_nothing_until(drawn.at_seconds)
            moment = self._offset
            began = time.time()
            report.fault_line(moment, drawn.fault.name, strike(self._scene, drawn))
            self._struck.append((drawn, began, time.time() + drawn.seconds))
        self._disturb_nothing_until(seconds)

    def _disturb_nothing_until(self, offset_seconds: float) -> None:
        self._tend_until(
            lambda: self._offset >= offset_seconds, new_folders=self._has_little_to_do()
        )

    def _has_little_to_do(self) -> bool:
        """Whether more work may come: a long run would else end in front of a mountain of it."""
        if self._world.is_hit("database"):
            return False  # a query would wait for it, and it would never be put right
        database = create_engine(self._world.database_url)
        try:
            return sum(open_batches(database).values()) < _MOST_OPEN_BATCHES
        except DATABASE_AWAY:
            return False
        finally:
            database.dispose()

    def settle(self) -> None:
        """Put everything right, and wait until nothing is open."""
        self._world.put_right()
        calm = time.monotonic()
        report.print_at(self._offset, "no more faults; all faults are ended")
        if not self._until_nothing_is_open(self._patience_seconds):
            return
        self.summary.settled_after_seconds = time.monotonic() - calm
        report.print_at(self._offset, "all batches are done; the whole library is ingested")
        database = create_engine(self._world.database_url)
        self.wrong += unfair(database, self._library.expected)
        database.dispose()
        # What could not be read is tried again, what was moved is found, what is gone is missed.
        self._ingests.walk_all()
        if self._until_nothing_is_open(self._patience_seconds):
            report.print_at(self._offset, "all batches are done")

    def check_each_worker(self) -> None:
        """Check that each worker still works while the other one is frozen."""
        for alone, other in zip(self._world.workers, reversed(self._world.workers), strict=True):
            self._world.freeze_without_locks(other)
            self._ingests.submit(self._library.add_small())
            answered = self._until_nothing_is_open(self._soon_seconds)
            other.send_to_group(signal.SIGCONT)
            if answered:
                report.print_at(self._offset, f"{alone.name} works alone")
            else:
                self.wrong.append(f"{alone.name} does not finish its work alone")

    def conclude(self) -> None:
        """Stop the fleet and check the database."""
        self.wrong += self._world.end_in_order()
        database = create_engine(self._world.database_url)
        account = take_account(
            database,
            self._library.expected,
            self._library.left,
            self._library.labelled,
            (starter_version(), OTHER_MODEL),
        )
        history = read_history(database)
        database.dispose()
        self.wrong += self._world.surprises + account.wrong + history.wrong
        self.wrong += self._world.leaked_passwords()
        self.summary.account = account
        self.summary.history = history
        self.summary.own_ends = self._world.own_ends
        self.summary.folders = self._ingests.submitted_folders
        self.summary.submitted = self._ingests.submitted_files
        self.summary.refused = self._ingests.refused

        self._judge_gaps(history)

    def _judge_gaps(self, history: History) -> None:
        """Record the longest gap around each fault; check its limit if faults came alone."""
        faults = self.summary.faults
        for drawn, began, ended in self._struck:
            struck = faults.setdefault(drawn.fault.name, Struck())
            gap = history.longest_gap(began, ended)
            limit = drawn.seconds + drawn.fault.gap_seconds
            struck.count += 1
            struck.limit_seconds = max(struck.limit_seconds, limit)
            struck.longest_gap_seconds = max(struck.longest_gap_seconds, gap)
            if self._alone and gap > limit:
                self.wrong.append(
                    f"no batch was finished for {gap:.1f} s around {drawn.fault.name!r} at "
                    f"{drawn.at_seconds:.1f} s; the limit is {limit:.1f} s"
                )
        if self._struck:
            whole = (self._struck[0][1], self._struck[-1][2])
            self.summary.longest_gap_seconds = history.longest_gap(*whole)

    def _until_nothing_is_open(self, patience_seconds: float) -> bool:
        """Tend the fleet until every folder is in the ledger and all commands and batches are done.

        Return False, and record what is wrong, when no batch is finished for so long before that.
        """
        database = create_engine(self._world.database_url)
        counted_at = reported_at = progress_at = time.monotonic()
        n_done = -1
        states: dict[str, int] = {}

        def has_ended() -> bool:
            nonlocal counted_at, reported_at, progress_at, n_done, states
            moment = time.monotonic()
            if moment - counted_at < _LOOK_SECONDS:
                return False
            states, before, n_done = open_batches(database), n_done, count_done(database)
            counted_at = time.monotonic()
            if n_done != before:
                progress_at = counted_at
            if moment - reported_at >= _REPORT_SECONDS:
                reported_at = moment
                counts = ", ".join(f"{count} {state}" for state, count in states.items())
                report.print_at(self._offset, f"open batches: {counts or 'none'}")
            is_idle = self._ingests.is_done and self._errands.is_done and not states
            return is_idle or counted_at - progress_at > patience_seconds

        try:
            self._tend_until(has_ended, new_folders=False)
        finally:
            database.dispose()
        if states or not self._ingests.is_done or not self._errands.is_done:
            self.wrong.append(f"no batch was finished for {patience_seconds:.0f} s: {states} open")
            return False
        return True

    def _tend_until(
        self,
        done: Callable[[], bool],
        patience_seconds: float = float("inf"),
        *,
        new_folders: bool = True,
    ) -> bool:
        """Keep the fleet and the producer going until `done`, or until patience is at its end."""
        deadline = time.monotonic() + patience_seconds
        while True:
            # First, also when the run is late: what is frozen must thaw in its time.
            self._world.look_after()
            self._ingests.look_after(new_folders=new_folders)
            self._errands.look_after()
            if done():
                break
            if time.monotonic() > deadline:
                return False
            time.sleep(_TICK_SECONDS)
        return True


def run(
    seconds: float,
    seed: int,
    only: str,
    *,
    alone: bool,
    on_sqlite: bool,
    production: bool,
    keep: bool,
) -> bool:
    """Run once, and return whether the invariant held."""
    with World(production=production, on_sqlite=on_sqlite) as world:
        kinds = tuple(
            kind
            for kind in KINDS
            if kind.needs in world.offers and any(part in kind.name for part in only.split(","))
        )
        if not kinds:
            raise SystemExit(f"no available fault has {only!r} in its name")
        database = "SQLite" if on_sqlite else "PostgreSQL"
        report.heading(seed, seconds, len(kinds), database, str(world.folder))
        this = Run(world, seed, kinds, alone=alone)
        try:
            this.begin()
            this.disturb(seconds)
            this.settle()
            this.check_each_worker()
            this.conclude()
        except KeyboardInterrupt:
            world.put_right()
            raise
        finally:
            world.keep_server_logs()
    report.table(this.summary)
    report.verdict(this.summary, this.wrong)
    if this.wrong or keep:
        print(f"logs: {world.folder}")
    else:
        world.remove_folder()
    return not this.wrong


def main() -> None:
    """Read the command line; exit with 1 when the invariant is broken."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="duration of the faults")
    parser.add_argument("--seed", type=int, help="seed of the faults (default: random)")
    parser.add_argument(
        "--production", action="store_true", help="use the default settings (a lease takes 75 s)"
    )
    parser.add_argument(
        "--alone", action="store_true", help="one fault at a time, with a limit for its gap"
    )
    parser.add_argument("--keep", action="store_true", help="keep the logs of a successful run")
    parser.add_argument("--sqlite", action="store_true", help="on SQLite instead of PostgreSQL")
    parser.add_argument(
        "--only",
        metavar="TEXT,...",
        default="",
        help="only faults whose name contains one of these",
    )
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    try:
        held = run(
            options.seconds,
            seed,
            options.only,
            alone=options.alone,
            on_sqlite=options.sqlite,
            production=options.production,
            keep=options.keep,
        )
    except KeyboardInterrupt:
        print("\nstopped; nothing is left running", file=sys.stderr)
        sys.exit(130)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
