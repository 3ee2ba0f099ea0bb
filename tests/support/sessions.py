"""Terminal sessions shown on pages of the documentation: read, run and compared.

A session is a ``console`` block: lines that begin with ``$ `` are commands (those that begin with
``> `` continue one), the lines after them are what the command prints. A line ``...`` stands for
any number of lines.

``python -m tests.support.sessions PAGE...`` runs the sessions of pages in an example home, and
writes the output of commands that now print something else into the page.
"""

import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from docs.pictures.source.scenes import temporary_home
from tests.support.command_line import clean_environment, run_in_process
from tests.support.places import REPOSITORY

BLOCK = re.compile(r"^( *)```console\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

_MAKE_LIBRARY = REPOSITORY / "examples" / "make_library.py"

#: What pages show instead of the home and the host on which they are run.
HOME, HOST = "/home/me", "studio"

#: Equal on every machine and at every time once these are replaced.
_VARIABLE = (
    (re.compile(r"\bin \d[\d.,]* s( \([\d,]+ files/s\))?"), "in N s"),
    (re.compile(r"[\d,.]+ ?files/s|[\d,.]+/s\b"), "N files/s"),
    (re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d(:\d\d)?(\.\d+)?(\+00:00|Z)?"), "TIME"),
    (re.compile(r'"(seconds|files_per_second|started_at|finished_at)": [^,}]+'), r'"\1": N'),
    (re.compile(r"\d[\d,.]* (bytes|kB|MB|KiB|MiB)"), r"N \1"),
    (re.compile(r"[━─]{2,}"), "--"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(frozen=True)
class Step:
    """A command of a session as it is typed, and the lines that the page shows after it."""

    typed: tuple[str, ...]
    shown: tuple[str, ...]

    @property
    def command(self) -> str:
        """The command without its prompts."""
        return "\n".join(line[2:] for line in self.typed)


def steps_of(block: str, indent: str = "") -> list[Step]:
    """Return the commands of a block, each with the lines after it."""
    steps: list[Step] = []
    for line in block.splitlines():
        line = line.removeprefix(indent)
        if line.startswith("$ "):
            steps.append(Step((line,), ()))
        elif line.startswith("> ") and not steps[-1].shown:
            steps[-1] = Step((*steps[-1].typed, line), ())
        else:
            steps[-1] = Step(steps[-1].typed, (*steps[-1].shown, line))
    return steps


def steps_in(page: str) -> list[Step]:
    """Return the commands of all sessions of a page."""
    return [step for indent, block in BLOCK.findall(page) for step in steps_of(block, indent)]


def plain(line: str) -> str:
    """Return a line without what differs between two runs: times, paces, widths of columns."""
    for pattern, replacement in _VARIABLE:
        line = pattern.sub(replacement, line)
    return line.strip()


def matches(shown: tuple[str, ...], printed: list[str]) -> bool:
    """Return whether these lines were printed, where ``...`` stands for any number of lines."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "..." else re.escape(plain(line)) + "\n"
        for line in shown
        if line.strip()
    )
    text = "".join(f"{plain(line)}\n" for line in printed if line.strip())
    return re.fullmatch(pattern, text) is not None


@dataclass
class Shell:
    """A shell in an example home: ``cratesort`` runs in this process, other commands in Bash."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        """Begin in the home."""
        self.folder = self.home

    def run(self, command: str) -> list[str]:
        """Return the lines that a command prints, standard error last."""
        if command.startswith("export "):
            for assigned in self._expanded(command.removeprefix("export ")):
                name, _, value = assigned.partition("=")
                self.variables[name] = value.replace(HOME, str(self.home))
            return []
        if command.startswith("git clone "):
            (self.folder / "cratesort").mkdir()
            return []
        if command.startswith("cd "):
            self.folder /= self._expanded(command)[1]
            return []
        if command.startswith("cratesort "):
            text = self._run_cratesort(command)
        elif command.startswith("make ingest"):
            text = self._run_make_ingest(command)
        else:
            text = self._run_bash(command)
        text = text.replace(str(self.home), HOME)
        # Tables shorten long paths, perhaps within the home.
        for length in range(1, len(HOME)):
            text = text.replace(f"…{str(self.home)[-length:]}/", f"…{HOME[-length:]}/")
        return text.splitlines()

    def _run_cratesort(self, command: str) -> str:
        # Up to what a shell would do with the output or the exit code.
        end = re.search(
            r" (?:[|<]|[12]?>|&&|\|\|)|;", re.sub(r"'[^']*'|\"[^\"]*\"", _hidden, command)
        )
        own, rest = (command[: end.start()], command[end.start() :]) if end else (command, "")
        if rest.startswith(" <"):
            return self._run_bash(command)
        _, *words = self._expanded(own)
        settings = {**self.variables, "LOGNAME": "me", "COLUMNS": "80", "HOME": str(self.home)}
        with patch.object(socket, "gethostname", return_value=HOST):
            done = run_in_process(words, self.folder, settings)
        if not rest:
            return done.stdout + done.stderr
        script = f"(cat; exit {done.code}) {rest}"
        return self._run_bash(script, done.stdout) + done.stderr

    def _run_make_ingest(self, command: str) -> str:
        """Run what `make ingest` runs in a clone where cratesort is installed."""
        data, library, text = self.folder / ".cratesort", ".cratesort/library", ""
        if "DIR=" in command:
            library = command.partition("DIR=")[2]
        else:
            data /= "example"
            text = self._run_bash(f"{sys.executable} {_MAKE_LIBRARY} {library}")
        self.variables["CRATESORT_DATA_FOLDER"] = str(data)
        text += self._run_cratesort(f"cratesort ingest {library}")
        path = f'PATH="{self.folder}/.venv/bin:$PATH"'
        return (
            f'{text}To type cratesort in this shell: export {path} CRATESORT_DATA_FOLDER="{data}"\n'
        )

    def _run_bash(self, script: str, stdin: str = "") -> str:
        environment = clean_environment(self.home, self.variables)
        environment |= {"LOGNAME": "me", "COLUMNS": "80", "LC_ALL": "C.UTF-8"}
        environment["PATH"] = f"{self.home}/.local/bin:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=environment,
            input=stdin.encode(errors="surrogateescape"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return done.stdout.decode(errors="surrogateescape")

    def _expanded(self, words: str) -> list[str]:
        return self._run_bash(f"printf '%s\\0' {words}").split("\0")[:-1]


def _hidden(quoted: re.Match[str]) -> str:
    return "x" * len(quoted[0])


@contextmanager
def example_home(library: Path) -> Iterator[Path]:
    """Make a home whose ``Samples`` is a copy of `library`, and where ``cratesort`` is installed.

    Its path is as long as `HOME`, so that tables are laid out as the pages show them.
    """
    with temporary_home(HOME) as home:
        program = home / ".local" / "bin" / "cratesort"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
        program.chmod(0o755)
        shutil.copytree(library, home / "Samples")
        yield home


def ingest_samples(home: Path) -> None:
    """Classify the sounds of an example home."""
    assert run_in_process(["ingest", "Samples"], home, {}).code == 0


def renew(page: Path, home: Path) -> None:
    """Write what the commands of a page print now into the page."""
    shell = Shell(home)

    def renewed(block: re.Match[str]) -> str:
        indent = block[1]
        lines = []
        for step in steps_of(block[2], indent):
            printed = shell.run(step.command)
            lines += step.typed
            lines += step.shown if matches(step.shown, printed) else printed
        body = "".join(f"{indent}{line}".rstrip() + "\n" for line in lines)
        return f"{indent}```console\n{body}{indent}```"

    page.write_text(BLOCK.sub(renewed, page.read_text()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        make = [sys.executable, _MAKE_LIBRARY, made]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        for name in sys.argv[1:]:
            with example_home(Path(made)) as example:
                ingest_samples(example)
                renew(Path(name), example)
