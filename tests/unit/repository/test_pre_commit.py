"""The checks of a commit are those of `make lint`, by the same versions."""

import re

import yaml

from tests.support.places import REPOSITORY


def test_ruff_has_the_version_of_constraints_txt():
    hooks = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"][0][
        "hooks"
    ]
    locked = re.findall(r"^ruff==.+$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    of_ruff = [hook["additional_dependencies"] for hook in hooks if hook["id"].startswith("ruff")]
    assert of_ruff == [locked, locked]
