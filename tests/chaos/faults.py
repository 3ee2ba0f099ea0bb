"""What a kind of fault is, and the order in which faults come.

Not here: the kinds (`kinds`), the world they happen to (`world`).
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import redis

from tests.chaos.errands import Errands
from tests.chaos.ingests import Ingests
from tests.chaos.world import World

#: Beyond the lease: at test settings about as long as a sweep takes to come.
PAST_THE_LEASE: Final = (0.5, 3.0)
AWAKE_ALONE_SECONDS: Final = 0.7
_USUAL_GAP_SECONDS: Final = 15.0

#: Targets of which there are two.
_IN_PAIRS: Final = ("worker", "beat", "storage", "redis link", "database link")


@dataclass(frozen=True)
class Drawn:
    """One fault of the plan: everything about it that chance decides."""

    at_seconds: float
    fault: "Fault"
    #: Which of the two workers or beats.
    which: int
    #: How long it lasts, where it does.
    seconds: float
    #: From 0 up to 1, to choose among what there happens to be.
    pick: float

    @property
    def target(self) -> str:
        """The target, by its name in the world; empty: no particular one."""
        return _target(self.fault, self.which)


@dataclass(frozen=True)
class Scene:
    """What a fault acts upon."""

    world: World
    ingests: Ingests
    errands: Errands

    @property
    def client(self) -> redis.Redis:
        """A client of the fleet's Redis."""
        return redis.Redis.from_url(self.world.redis.url)


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    - `target`: ``worker``, ``beat``; of each worker one ``storage``, ``redis link`` and ``database
      link``; ``library``, ``redis``, ``database``, ``disk``, ``sweeper``; or empty.
    - `lasts`: seconds, at least and at most.
    - `gap_seconds`: when it comes alone, something is finished again so soon after its end.
    - `needs`: what not every world offers (`World.offers`).
    """

    name: str
    target: str
    strike: Callable[[Scene, Drawn], str]
    lasts: tuple[float, float] = (0.0, 0.0)
    gap_seconds: float = _USUAL_GAP_SECONDS
    needs: str = ""


def plan(
    seed: int,
    seconds: float,
    kinds: tuple[Fault, ...],
    lease_seconds: float = 3.0,
    *,
    alone: bool = False,
) -> Iterator[Drawn]:
    """Yield the faults of a run in order, decided by the seed alone.

    Dealt from a shuffled deck, so that a short run sees every kind before any comes again; and, as
    far as the deck allows, to those nothing is wrong with yet, so that what is frozen stays frozen
    for its time.

    - `alone`: the next one comes when the fleet must have recovered from the last one.
    """
    chance = random.Random(seed)
    deck: list[Fault] = []
    busy_until: dict[str, float] = {}
    moment = 2.0  # the fleet is to have begun
    while moment < seconds:
        if not deck:
            deck = list(kinds)
            chance.shuffle(deck)
        which = chance.randrange(2)
        choices = [(fault, whom) for fault in reversed(deck) for whom in (which, 1 - which)]
        free = [each for each in choices if busy_until.get(_target(*each), 0.0) <= moment]
        fault, which = (free or choices)[0]
        deck.remove(fault)
        lasts = chance.uniform(*fault.lasts)
        if fault.lasts is PAST_THE_LEASE:
            lasts += lease_seconds
        if lasts:
            busy_until[_target(fault, which)] = moment + lasts + AWAKE_ALONE_SECONDS
        yield Drawn(moment, fault, which, lasts, chance.random())
        moment += lasts + fault.gap_seconds if alone else chance.uniform(0.5, 1.5)


def strike(scene: Scene, drawn: Drawn) -> str:
    """Let a fault happen, and return what it hit."""
    # A second fault at one target would else meet it half dead: kill what is frozen, thaw what is
    # killed. It ends the first instead.
    scene.world.put_right(drawn.target)
    return drawn.fault.strike(scene, drawn)


def _target(fault: Fault, which: int) -> str:
    return f"{fault.target} {which + 1}" if fault.target in _IN_PAIRS else fault.target
