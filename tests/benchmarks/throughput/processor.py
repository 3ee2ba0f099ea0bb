"""Processor time of a process and all its descendants, including ended ones (Linux)."""

import os
from pathlib import Path

from tests.support.servers.lifecycle import living_processes


def cpu_seconds(*pids: int) -> float:
    """Return what these processes, their living descendants and their reaped ones have used."""
    parents = {process.pid: process.parent for process in living_processes()}
    total = 0
    for pid in parents:
        if _is_below(pid, parents, pids):
            try:
                # After the name, which may hold blanks: utime, stime, cutime and cstime.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # its parent has counted it by now, or will
            total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def _is_below(pid: int, parents: dict[int, int], above: tuple[int, ...]) -> bool:
    while pid not in above:
        if pid not in parents:
            return False
        pid = parents[pid]
    return True
