"""docs/reference/json.md, as tests compare it with what commands print.

A row of a table is a key, its type and its meaning. ``a.b`` is a key of an object, ``a[].b`` of
each object of a list, and a part in capitals (``errors.CODE``) stands for any key.
"""

import json
import re
from typing import Any, Final

from tests.support.places import REPOSITORY

PAGE: Final = (REPOSITORY / "docs" / "reference" / "json.md").read_text()

_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "text": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "evaluation": dict,
    "list": list,
    "null": type(None),
}


def sections() -> dict[str, str]:
    """The text of each section, by its command."""
    return {
        heading.strip("`"): text
        for heading, _, text in (part.partition("\n") for part in PAGE.split("\n## ")[1:])
        if heading.startswith("cratesort ")
    }


def keys_of(command: str) -> dict[str, str]:
    """The type of each key of a command's output."""
    rows = re.findall(r"^\| `(\S+)` \| ([^|]+?) \| \S", sections()[command], re.MULTILINE)
    return {key: re.sub(r"\[(\w+)\]\([^)]*\)", r"\1", kind) for key, kind in rows}


def examples_of(command: str) -> list[dict[str, Any]]:
    """The objects in a command's examples."""
    blocks = re.findall(r"^```json\n(.*?)^```$", sections()[command], re.MULTILINE | re.DOTALL)
    return [json.loads(block) for block in blocks]


def used_keys(command: str, output: dict[str, Any]) -> set[str]:
    """The documented keys that an output has; AssertionError: it has others, or of other types."""
    documented = keys_of(command)
    used: set[str] = set()

    def visit(parts: tuple[str, ...], value: Any) -> None:
        name = f"{command}: {'.'.join(parts)}"
        matching = [key for key in documented if _stands_for(key, parts)]
        assert matching, f"{name} is not in docs/reference/json.md"
        key = ".".join(parts) if ".".join(parts) in matching else matching[0]
        kinds = documented[key].split(" or ")
        assert any(_is_a(value, kind) for kind in kinds), f"{name} is {value!r}, not {kinds}"
        used.add(key)
        if "evaluation" not in kinds:  # study-files.md has what is in one
            visit_all(parts, value)

    def visit_all(parts: tuple[str, ...], value: Any) -> None:
        if isinstance(value, dict):
            for name, below in value.items():
                visit((*parts, name), below)
        elif isinstance(value, list):
            for below in value:
                if isinstance(below, dict):
                    visit_all((*parts[:-1], f"{parts[-1]}[]"), below)

    visit_all((), output)
    return used


def _stands_for(key: str, parts: tuple[str, ...]) -> bool:
    documented = key.split(".")
    return len(documented) == len(parts) and all(
        part == name or (part.isupper() and not name.endswith("[]"))
        for part, name in zip(documented, parts, strict=True)
    )


def _is_a(value: Any, kind: str) -> bool:
    if kind.startswith("list of "):
        below = kind.removeprefix("list of ").removesuffix("s")
        return isinstance(value, list) and all(_is_a(one, below) for one in value)
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])
