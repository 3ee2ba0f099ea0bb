"""The kinds of fault, by what they happen to: `KINDS`.

Each fault is a function that acts on the world and returns what it hit. A lasting fault returns how
it is ended; the next one at the same target ends it early.
"""

from typing import Final

from tests.chaos.faults import Fault
from tests.chaos.kinds.fleet_processes import PROCESS_KINDS
from tests.chaos.kinds.network_faults import NETWORK_KINDS
from tests.chaos.kinds.people import PEOPLE_KINDS
from tests.chaos.kinds.servers_away import SERVER_KINDS
from tests.chaos.kinds.storage_faults import STORAGE_KINDS
from tests.chaos.kinds.stray_messages import MESSAGE_KINDS

KINDS: Final[tuple[Fault, ...]] = (
    *PROCESS_KINDS,
    *SERVER_KINDS,
    *NETWORK_KINDS,
    *MESSAGE_KINDS,
    *STORAGE_KINDS,
    *PEOPLE_KINDS,
)
