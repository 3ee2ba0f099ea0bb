"""Which tests share a process, and which come first (pytest-xdist).

The tests of a file share a process and so its fixtures, and all that load TensorFlow share one,
with the models fitted there. (xdist's own ``--dist loadgroup`` changes node ids in a way that
pytest 9.2 ignores.)
"""

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.places import REPOSITORY

if TYPE_CHECKING:
    from xdist.scheduler import LoadScopeScheduling

_TENSORFLOW = "tensorflow"

#: What takes longest starts first, or the run would end with one process still busy with it.
_LONGEST_FIRST = (_TENSORFLOW, "tests/faults", "tests/acceptance", "tests/integration")


@cache
def _group(file: str) -> str:
    """Return the group of a file's tests: its own name, or that of all which load TensorFlow."""
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    return _TENSORFLOW if "pytest.mark.tensorflow" in text else file


def _rank(item: pytest.Item) -> int:
    file = item.nodeid.split("::")[0]
    kinds = _group(file), file.rpartition("/")[0]
    return min((_LONGEST_FIRST.index(kind) for kind in kinds if kind in _LONGEST_FIRST), default=9)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first; within a rank the order stays random."""
    items.sort(key=_rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "LoadScopeScheduling":
    """Hand out whole groups."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid.split("::")[0])

    return Groups(config, log)
