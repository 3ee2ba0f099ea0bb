"""The parent: starts the child that reads, watches it, keeps what it died of, counts."""

import argparse
import contextlib
import mmap
import multiprocessing
import os
import random
import resource
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import click

from tests.fuzz import mutations, seeds
from tests.fuzz.targets import EntryTarget, HeaderTarget, check_name
from tests.support.places import SHARED

#: No file needs a hundredth of it; but the machine may be busy.
_PATIENCE_SECONDS = 5.0
#: What a child may have beyond what it has at its start: more than that for a header is a finding.
_SPARE_MEMORY_BYTES = 512 << 20
#: A name after every so many files: they are cheap, and there is less to find.
_FILES_PER_NAME = 4
#: The hundredth is of no use before the first had its cause looked at.
_MOST_FINDINGS = 20

CONTAINERS = ("WAV", "AIFF", "FLAC", "OGG", "MP3", "AU", "CAF", "W64", "MIDI")

_INPUT_BYTES = 1 << 20

#: Of an entry of the inbox, which is taken for a name, too.
_MOST_NAME_BYTES = 4096


class Notes:
    """What the child notes for its parent in memory that both see: it may die at any moment."""

    #: Executions, names among them, findings, containers reached; length, zeros, whether under way.
    _HEAD = struct.Struct("<QQQQQQ?")

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, self._HEAD.size + _INPUT_BYTES)
        self.executions = self.names = self.findings = self.reached = 0

    def write(self, content: bytes, n_zeros: int) -> None:
        """Note what comes next, before it is tried."""
        self._shared[self._HEAD.size : self._HEAD.size + len(content)] = content
        self._pack(len(content), n_zeros, True)

    def count(self, container: str | None, is_name: bool) -> None:
        """Note that it was survived, and what was read."""
        self.executions += 1
        self.names += is_name
        if container:
            self.reached |= 1 << CONTAINERS.index(container)
        self._pack(0, 0, False)

    def _pack(self, length: int, n_zeros: int, under_way: bool) -> None:
        counts = (self.executions, self.names, self.findings, self.reached)
        self._HEAD.pack_into(self._shared, 0, *counts, length, n_zeros, under_way)

    def look(self) -> tuple[bytes, int, bool]:
        """Take over the child's counts; return its input, the zeros behind it, if it is tried."""
        head = self._HEAD.unpack_from(self._shared)
        self.executions, self.names, self.findings, self.reached, length, n_zeros, under_way = head
        return self._shared[self._HEAD.size : self._HEAD.size + length], n_zeros, under_way


def _read_on(
    notes: Notes,
    seed: str,
    made: list[seeds.Seed],
    real: list[seeds.Seed],
    folder: Path,
    ends_at: float,
) -> None:
    """Be the child: read one mutilated file after the other until the time is over."""
    with contextlib.suppress(ValueError, OSError):  # not every system limits memory
        page = resource.getpagesize()
        now = int(Path("/proc/self/statm").read_text().split()[0]) * page
        resource.setrlimit(resource.RLIMIT_AS, (now + _SPARE_MEMORY_BYTES,) * 2)
    rng = random.Random(seed)  # noqa: S311  the same numbers again are the point
    target = HeaderTarget()
    with tempfile.TemporaryDirectory() as library, target.counting():
        entries = EntryTarget(Path(library))
        for number, (container, content, n_zeros) in enumerate(_inputs(rng, made, real)):
            # The good files are read however short the time is.
            is_over = number >= len(made) and time.monotonic() > ends_at
            if is_over or notes.findings >= _MOST_FINDINGS:
                return
            notes.write(content, n_zeros)
            accepted = None
            try:
                if container is None:
                    check_name(content[:_MOST_NAME_BYTES].replace(b"\0", b""), rng)
                    entries.check(content)
                elif target.accepts(content, n_zeros):
                    accepted = container
            except Exception as error:
                notes.findings += 1
                _keep(folder, seed, content, n_zeros, repr(error))
                click.echo(traceback.format_exc(limit=-3), err=True)
            notes.count(accepted, is_name=container is None)


def _inputs(
    rng: random.Random, made: list[seeds.Seed], real: list[seeds.Seed]
) -> Iterator[tuple[str | None, bytes, int]]:
    """Yield the good files as they are, then mutilated ones and names; container None: a name."""
    for container, content in made:
        yield container, content, 0
    while True:
        for _ in range(_FILES_PER_NAME):
            yield mutations.mutilated(rng, real if real and rng.random() < 0.3 else made)
        yield None, rng.choice((mutations.name_bytes, mutations.entry_bytes))(rng), 0


def _keep(folder: Path, seed: str, content: bytes, n_zeros: int, why: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed-{seed}-{time.time_ns()}.bin"
    path.write_bytes(content)
    os.truncate(path, len(content) + n_zeros)
    click.echo(f"FINDING {path} ({len(content):,} bytes and {n_zeros:,} zeros): {why}", err=True)


def _watch(notes: Notes, process: multiprocessing.Process) -> str | None:
    """Wait for the child's end; return what it died of, None when it was done."""
    last, since = -1, time.monotonic()
    while process.is_alive():
        process.join(0.2)
        _, _, under_way = notes.look()
        if notes.executions != last or not under_way:
            last, since = notes.executions, time.monotonic()
        elif time.monotonic() - since > _PATIENCE_SECONDS:
            process.kill()
            process.join()
            return f"no end after {_PATIENCE_SECONDS:g} s"
    return None if process.exitcode == 0 else f"the reader ended with {process.exitcode}"


def main(argv: list[str] | None = None) -> int:
    """Run for as long as was asked for; 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--folder", type=Path, default=Path(".cratesort/fuzz-findings"))
    parser.add_argument("--shared", type=Path, default=SHARED / "audio", help="real sounds")
    arguments = parser.parse_args(argv)
    seed = time.time_ns() % 10**6 if arguments.seed is None else arguments.seed
    context = multiprocessing.get_context("fork")
    made, real = seeds.made(), seeds.real(arguments.shared)
    notes = Notes()
    began = time.monotonic()
    lives = 0
    while time.monotonic() - began < arguments.seconds and notes.findings < _MOST_FINDINGS:
        # A child that follows one that died must not do all the same again.
        life = f"{seed}-{lives}" if lives else str(seed)
        ends_at = began + arguments.seconds
        process = context.Process(
            target=_read_on, args=(notes, life, made, real, arguments.folder, ends_at)
        )
        process.start()
        died_of = _watch(notes, process)
        content, n_zeros, _ = notes.look()
        if died_of:
            notes.findings += 1
            notes.executions += 1
            _keep(arguments.folder, life, content, n_zeros, died_of)
        lives += 1
    seconds = time.monotonic() - began
    reached = [name for bit, name in enumerate(CONTAINERS) if notes.reached >> bit & 1]
    click.echo(
        f"seed {seed}: {notes.executions:,} executions ({notes.names:,} of them names) "
        f"in {seconds:.0f} s, {notes.executions / seconds:,.0f}/s; "
        f"containers {' '.join(reached)}; findings {notes.findings}"
    )
    return 1 if notes.findings else 0


if __name__ == "__main__":
    sys.exit(main())
