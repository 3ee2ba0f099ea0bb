"""The run: ``python -m tests.chaos --seconds 60 --seed 1``."""

import argparse
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Final

from db.engine import create_engine
from db.errors import DATABASE_AWAY
from tests.chaos import report
from tests.chaos.faults import KINDS, Fault, Scene, plan, strike
from tests.chaos.handing_in import HandingIn
from tests.chaos.history import read_history
from tests.chaos.invariant import open_batches, take_account
from tests.chaos.library import Library
from tests.chaos.report import Summary
from tests.chaos.world import World
from tests.support.processes import READY

#: How long the fleet may take to finish once nothing disturbs it any more: some leases, one after
#: the other, for a batch that is narrowed down, and the work itself.
_PATIENCE_LEASES: Final = 8
_PATIENCE_SECONDS: Final = 150.0
_TICK_SECONDS: Final = 0.02
#: About what a minute's faults leave of its work.
_MOST_OPEN_BATCHES: Final = 300
_LOOK_SECONDS: Final = 0.25
_TELL_SECONDS: Final = 10.0


class Run:
    """One run, from the first folder to the verdict."""

    def __init__(self, world: World, seed: int, kinds: tuple[Fault, ...]) -> None:
        self._world = world
        self._lease_seconds = world.lease_seconds
        self._patience_seconds = _PATIENCE_SECONDS + _PATIENCE_LEASES * world.lease_seconds
        self._kinds = kinds
        self._library = Library(world.folder / "library")
        self._handing_in = HandingIn(world, self._library)
        self._scene = Scene(world, self._handing_in)
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
            self._patience_seconds,
            new_folders=False,
        )
        if not ready:
            raise TimeoutError(f"no worker was ready: look into {self._world.folder}")
        self._started = time.monotonic()

    def disturb(self, seconds: float) -> None:
        """Hand in work and let faults happen, for so long."""
        for drawn in plan(self.summary.seed, seconds, self._kinds, self._lease_seconds):
            self._disturb_nothing_until(drawn.at_seconds)
            moment = self._offset
            report.fault_line(moment, drawn.fault.name, strike(self._scene, drawn))
            self.summary.faults[drawn.fault.name] += 1
        self._disturb_nothing_until(seconds)

    def _disturb_nothing_until(self, offset_seconds: float) -> None:
        self._tend_until(
            lambda: self._offset >= offset_seconds, new_folders=self._has_little_to_do()
        )

    def _has_little_to_do(self) -> bool:
        """Whether more work may come: a long run would else end in front of a mountain of it."""
        if self._world.is_hit("postgres"):
            return False  # to ask it would be to wait for it, and nobody would put it right
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
        report.say(self._offset, "no more faults; everything is put right")
        if self._until_nothing_is_open(self._patience_seconds):
            self.summary.settled_after_seconds = time.monotonic() - calm
            report.say(self._offset, "nothing is open any more")
        else:
            self.wrong.append(f"work is open {self._patience_seconds:.0f} s after the last fault")

    def call_the_roll(self) -> None:
        """See that each worker still works, the other one frozen."""
        for alone, other in zip(self._world.workers, reversed(self._world.workers), strict=True):
            other.send_to_group(signal.SIGSTOP)
            self._handing_in.hand_in(self._library.add_small())
            answered = self._until_nothing_is_open(self._patience_seconds / 3)
            other.send_to_group(signal.SIGCONT)
            if answered:
                report.say(self._offset, f"{alone.name} works alone")
            else:
                self.wrong.append(f"{alone.name} runs, and finishes nothing any more")

    def conclude(self) -> None:
        """Stop the fleet, and compare the database with what was promised."""
        self.wrong += self._world.end_in_order()
        database = create_engine(self._world.database_url)
        account = take_account(database, self._library.expected)
        history = read_history(database)
        database.dispose()
        self.wrong += self._world.surprises + account.wrong + history.wrong
        self.wrong += self._world.leaked_passwords()
        self.summary.account = account
        self.summary.history = history
        self.summary.own_ends = self._world.own_ends
        self.summary.folders = len(self._handing_in.promised)
        self.summary.submitted = sum(len(each.expected) for each in self._handing_in.promised)
        self.summary.refused = self._handing_in.refused

    def _until_nothing_is_open(self, patience_seconds: float) -> bool:
        """Tend the fleet until every folder was promised and no batch is open."""
        database = create_engine(self._world.database_url)
        asked_at = told_at = time.monotonic()
        last = False

        def nothing_is_open() -> bool:
            nonlocal asked_at, told_at, last
            moment = time.monotonic()
            if moment - asked_at >= _LOOK_SECONDS:
                states = open_batches(database)
                asked_at = time.monotonic()
                last = self._handing_in.is_done and not states
                if moment - told_at >= _TELL_SECONDS:
                    told_at = moment
                    counts = ", ".join(f"{count} {state}" for state, count in states.items())
                    report.say(self._offset, f"open batches: {counts}")
            return last

        try:
            return self._tend_until(nothing_is_open, patience_seconds, new_folders=False)
        finally:
            database.dispose()

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
            if done():
                break
            if time.monotonic() > deadline:
                return False
            time.sleep(_TICK_SECONDS)
        return True


def run(
    seconds: float, seed: int, kinds: tuple[Fault, ...], *, production: bool, keep: bool
) -> bool:
    """Run once, and return whether the invariant held."""
    with World(production=production) as world:
        report.heading(seed, seconds, len(kinds), str(world.folder))
        this = Run(world, seed, kinds)
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
    parser.add_argument("--keep", action="store_true", help="keep the logs of a good run too")
    parser.add_argument("--only", metavar="TEXT", help="only faults whose name contains TEXT")
    options = parser.parse_args()
    kinds = tuple(kind for kind in KINDS if (options.only or "") in kind.name)
    if not kinds:
        parser.error(f"no fault is called {options.only!r}")
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    try:
        held = run(options.seconds, seed, kinds, production=options.production, keep=options.keep)
    except KeyboardInterrupt:
        print("\nstopped; nothing is left running", file=sys.stderr)
        sys.exit(130)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
