"""Fuzzing: a child process reads mutated input, its parent saves what crashes or hangs it."""

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

#: No file needs a hundredth of this, but the machine may be busy.
_TIMEOUT_SECONDS = 5.0
#: Memory a child may allocate after its start: more than that for a header is a finding.
_SPARE_MEMORY_BYTES = 512 << 20
#: A name follows after this many files: name parsing is simpler and needs less fuzzing.
_FILES_PER_NAME = 4
#: Stop after this many: further findings often have the same cause.
_MOST_FINDINGS = 20

CONTAINERS = ("WAV", "AIFF", "FLAC", "OGG", "MP3", "AU", "CAF", "W64", "MIDI")

_INPUT_BYTES = 1 << 20

#: Maximum size of an inbox entry, which is also tried as a name.
_MOST_NAME_BYTES = 4096


class SharedState:
    """Progress of the child in shared memory, so that it survives a crash of the child."""

    #: Executions, names among them, findings, containers reached; length, zeros, whether running.
    _HEAD = struct.Struct("<QQQQQQ?")

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, self._HEAD.size + _INPUT_BYTES)
        self.executions = self.names = self.findings = self.reached = 0

    def write(self, content: bytes, n_zeros: int) -> None:
        """Store the next input before it is read."""
        self._shared[self._HEAD.size : self._HEAD.size + len(content)] = content
        self._pack(len(content), n_zeros, True)

    def count(self, container: str | None, is_name: bool) -> None:
        """Count an input that was read without a crash."""
        self.executions += 1
        self.names += is_name
        if container:
            self.reached |= 1 << CONTAINERS.index(container)
        self._pack(0, 0, False)

    def _pack(self, length: int, n_zeros: int, is_running: bool) -> None:
        counts = (self.executions, self.names, self.findings, self.reached)
        self._HEAD.pack_into(self._shared, 0, *counts, length, n_zeros, is_running)

    def look(self) -> tuple[bytes, int, bool]:
        """Read the child's counts; return its input, the zeros after it, and if it is running."""
        head = self._HEAD.unpack_from(self._shared)
        self.executions, self.names, self.findings, self.reached, length, n_zeros, is_running = head
        return self._shared[self._HEAD.size : self._HEAD.size + length], n_zeros, is_running


def _read_inputs(
    state: SharedState,
    seed: str,
    made: list[seeds.Seed],
    real: list[seeds.Seed],
    folder: Path,
    ends_at: float,
) -> None:
    """Read mutated files until the time is over (in the child process)."""
    with contextlib.suppress(ValueError, OSError):  # not every system limits memory
        page = resource.getpagesize()
        now = int(Path("/proc/self/statm").read_text().split()[0]) * page
        resource.setrlimit(resource.RLIMIT_AS, (now + _SPARE_MEMORY_BYTES,) * 2)
    rng = random.Random(seed)  # noqa: S311  must be reproducible
    target = HeaderTarget()
    with tempfile.TemporaryDirectory() as library, target.counting():
        entries = EntryTarget(Path(library))
        for number, (container, content, n_zeros) in enumerate(_inputs(rng, made, real)):
            # The unmodified files are always read, however short the time is.
            is_over = number >= len(made) and time.monotonic() > ends_at
            if is_over or state.findings >= _MOST_FINDINGS:
                return
            state.write(content, n_zeros)
            accepted = None
            try:
                if container is None:
                    check_name(content[:_MOST_NAME_BYTES].replace(b"\0", b""), rng)
                    entries.check(content)
                elif target.accepts(content, n_zeros):
                    accepted = container
            except Exception as error:
                state.findings += 1
                _save(folder, seed, content, n_zeros, repr(error))
                click.echo(traceback.format_exc(limit=-3), err=True)
            state.count(accepted, is_name=container is None)


def _inputs(
    rng: random.Random, made: list[seeds.Seed], real: list[seeds.Seed]
) -> Iterator[tuple[str | None, bytes, int]]:
    """Yield the unmodified files, then mutated ones and names (container None)."""
    for container, content in made:
        yield container, content, 0
    while True:
        for _ in range(_FILES_PER_NAME):
            yield mutations.mutated(rng, real if real and rng.random() < 0.3 else made)
        yield None, rng.choice((mutations.name_bytes, mutations.entry_bytes))(rng), 0


def _save(folder: Path, seed: str, content: bytes, n_zeros: int, reason: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed-{seed}-{time.time_ns()}.bin"
    path.write_bytes(content)
    os.truncate(path, len(content) + n_zeros)
    click.echo(f"FINDING {path} ({len(content):,} bytes and {n_zeros:,} zeros): {reason}", err=True)


def _watch(state: SharedState, process: multiprocessing.Process) -> str | None:
    """Wait for the child's end; return why it crashed, None if it finished."""
    last, since = -1, time.monotonic()
    while process.is_alive():
        process.join(0.2)
        _, _, is_running = state.look()
        if state.executions != last or not is_running:
            last, since = state.executions, time.monotonic()
        elif time.monotonic() - since > _TIMEOUT_SECONDS:
            process.kill()
            process.join()
            return f"hangs for more than {_TIMEOUT_SECONDS:g} s"
    return None if process.exitcode == 0 else f"the reader exited with {process.exitcode}"


def main(argv: list[str] | None = None) -> int:
    """Fuzz for the requested time; return 1 if there are findings."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="default: random")
    parser.add_argument("--folder", type=Path, default=Path(".cratesort/fuzz-findings"))
    parser.add_argument("--shared", type=Path, default=SHARED / "audio", help="real sounds")
    arguments = parser.parse_args(argv)
    seed = time.time_ns() % 10**6 if arguments.seed is None else arguments.seed
    context = multiprocessing.get_context("fork")
    made, real = seeds.made(), seeds.real(arguments.shared)
    state = SharedState()
    began = time.monotonic()
    lives = 0
    while time.monotonic() - began < arguments.seconds and state.findings < _MOST_FINDINGS:
        # A child after a crash needs another seed, or it would repeat the same inputs.
        life = f"{seed}-{lives}" if lives else str(seed)
        ends_at = began + arguments.seconds
        process = context.Process(
            target=_read_inputs, args=(state, life, made, real, arguments.folder, ends_at)
        )
        process.start()
        crash = _watch(state, process)
        content, n_zeros, _ = state.look()
        if crash:
            state.findings += 1
            state.executions += 1
            _save(arguments.folder, life, content, n_zeros, crash)
        lives += 1
    seconds = time.monotonic() - began
    reached = [name for bit, name in enumerate(CONTAINERS) if state.reached >> bit & 1]
    click.echo(
        f"seed {seed}: {state.executions:,} executions ({state.names:,} names) "
        f"in {seconds:.0f} s, {state.executions / seconds:,.0f}/s; "
        f"containers {' '.join(reached)}; findings {state.findings}"
    )
    return 1 if state.findings else 0


if __name__ == "__main__":
    sys.exit(main())
