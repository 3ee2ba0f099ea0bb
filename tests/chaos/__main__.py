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
from tests.chaos.handing_in import HandingIn
from tests.chaos.history import History, read_history
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
_TELL_SECONDS: Final = 10.0


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
        self._handing_in = HandingIn(world, self._library)
        self._errands = Errands(world)
        self._scene = Scene(world, self._handing_in, self._errands)
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
            raise TimeoutError(f"no worker was ready: look into {self._world.folder}")
        self._started = time.monotonic()

    def disturb(self, seconds: float) -> None:
        """Hand in work and let faults happen, for so long."""
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
        report.print_at(self._offset, "no more faults; everything is put right")
        if not self._until_nothing_is_open(self._patience_seconds):
            return
        self.summary.settled_after_seconds = time.monotonic() - calm
        report.print_at(self._offset, "all batches are done; the whole library is walked")
        database = create_engine(self._world.database_url)
        self.wrong += unfair(database, self._library.expected)
        database.dispose()
        # What could not be read is tried again, what was moved is found, what is gone is missed.
        self._handing_in.walk_all()
        if self._until_nothing_is_open(self._patience_seconds):
            report.print_at(self._offset, "all batches are done")

    def call_the_roll(self) -> None:
        """See that each worker still works, the other one frozen."""
        for alone, other in zip(self._world.workers, reversed(self._world.workers), strict=True):
            self._world.freeze_without_locks(other)
            self._handing_in.hand_in(self._library.add_small())
            answered = self._until_nothing_is_open(self._soon_seconds)
            other.send_to_group(signal.SIGCONT)
            if answered:
                report.print_at(self._offset, f"{alone.name} works alone")
            else:
                self.wrong.append(f"{alone.name} runs alone, and does not finish its work")

    def conclude(self) -> None:
        """Stop the fleet, and compare the database with what was promised."""
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
        self.summary.folders = self._handing_in.promised_folders
        self.summary.submitted = self._handing_in.promised_files
        self.summary.refused = self._handing_in.refused

        self._judge_gaps(history)

    def _judge_gaps(self, history: History) -> None:
        """Print how long nothing was finished around each fault; judge it where each came alone."""
        faults = self.summary.faults
        for drawn, began, ended in self._struck:
            struck = faults.setdefault(drawn.fault.name, Struck())
            gap = history.longest_gap(began, ended)
            promised = drawn.seconds + drawn.fault.gap_seconds
            struck.count += 1
            struck.promised_seconds = max(struck.promised_seconds, promised)
            struck.longest_gap_seconds = max(struck.longest_gap_seconds, gap)
            if self._alone and gap > promised:
                self.wrong.append(
                    f"nothing was finished for {gap:.1f} s around {drawn.fault.name!r} at "
                    f"{drawn.at_seconds:.1f} s; {promised:.1f} s were promised"
                )
        if self._struck:
            whole = (self._struck[0][1], self._struck[-1][2])
            self.summary.longest_gap_seconds = history.longest_gap(*whole)

    def _until_nothing_is_open(self, patience_seconds: float) -> bool:
        """Tend the fleet until every folder is in the ledger and all commands and batches are done.

        Return False, and record what is wrong, when no batch is finished for so long before that.
        """
        database = create_engine(self._world.database_url)
        asked_at = told_at = moved_at = time.monotonic()
        n_done = -1
        states: dict[str, int] = {}

        def has_ended() -> bool:
            nonlocal asked_at, told_at, moved_at, n_done, states
            moment = time.monotonic()
            if moment - asked_at < _LOOK_SECONDS:
                return False
            states, before, n_done = open_batches(database), n_done, count_done(database)
            asked_at = time.monotonic()
            if n_done != before:
                moved_at = asked_at
            if moment - told_at >= _TELL_SECONDS:
                told_at = moment
                counts = ", ".join(f"{count} {state}" for state, count in states.items())
                report.print_at(self._offset, f"open batches: {counts or 'none'}")
            is_idle = self._handing_in.is_done and self._errands.is_done and not states
            return is_idle or asked_at - moved_at > patience_seconds

        try:
            self._tend_until(has_ended, new_folders=False)
        finally:
            database.dispose()
        if states or not self._handing_in.is_done or not self._errands.is_done:
            self.wrong.append(f"nothing was finished for {patience_seconds:.0f} s: {states} open")
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
            self._handing_in.look_after(new_folders=new_folders)
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
            raise SystemExit(f"no fault that this world offers is called {only!r}")
        database = "SQLite" if on_sqlite else "PostgreSQL"
        report.heading(seed, seconds, len(kinds), database, str(world.folder))
        this = Run(world, seed, kinds, alone=alone)
        try:
            this.begin()
            this.disturb(seconds)
            this.settle()
            this.call_the_roll()
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
    parser.add_argument("--seconds", type=float, default=60.0, help="how long faults happen")
    parser.add_argument("--seed", type=int, help="which faults; default: by chance")
    parser.add_argument(
        "--production", action="store_true", help="at the default settings; a lease takes 75 s"
    )
    parser.add_argument(
        "--alone", action="store_true", help="one fault at a time, and judge how long each costs"
    )
    parser.add_argument("--keep", action="store_true", help="keep the logs of a good run too")
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
