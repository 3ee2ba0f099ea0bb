"""The patches of `make breakages` are well-formed, apply to the code as it is, and name real tests.

So that a renamed line or test is noticed at once, and not at the next `make breakages`.
"""

import ast
import functools
import shutil
import subprocess

import pytest

from tests.breakages.patches import PatchError, how_to_renew, patch_files, read_patch
from tests.support.places import REPOSITORY

PATCHES = patch_files()

GOOD = """\
A batch is never closed.
Tests: tests/unit/classifier/test_paths.py

diff --git a/db/queue/ledger.py b/db/queue/ledger.py
--- a/db/queue/ledger.py
+++ b/db/queue/ledger.py
@@ -1,3 +1,3 @@
 before
-the line
+the broken line
 after
"""


@functools.cache
def functions_of(file):
    tree = ast.parse((REPOSITORY / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_there_are_patches():
    assert len(PATCHES) >= 45


@pytest.mark.parametrize("path", PATCHES, ids=lambda path: path.stem)
def test_a_patch_breaks_one_line_and_names_tests_that_exist(path):
    breakage = read_patch(path)
    for test in breakage.tests:
        file, *names = test.partition("[")[0].split("::")
        assert file.startswith("tests/"), test
        assert (REPOSITORY / file).is_file(), f"{test}: there is no such file"
        assert set(names) <= functions_of(file), f"{test}: there is no such test"


@pytest.mark.parametrize("path", PATCHES, ids=lambda path: path.stem)
def test_a_patch_applies_to_the_code_as_it_is(path):
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("this is no git checkout, or git is not installed")
    checked = subprocess.run(
        ["git", "apply", "--check", path], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert checked.returncode == 0, how_to_renew(path, read_patch(path).file)


def test_a_patch_is_read_with_its_sentence_and_tests(tmp_path):
    (tmp_path / "batch-never-closed.patch").write_text(GOOD)

    breakage = read_patch(tmp_path / "batch-never-closed.patch")

    assert breakage.name == "batch-never-closed"
    assert breakage.sentence == "A batch is never closed."
    assert breakage.tests == ("tests/unit/classifier/test_paths.py",)
    assert breakage.file == "db/queue/ledger.py"
    assert (breakage.removed, breakage.added) == (("the line",), ("the broken line",))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("A batch is never closed.\n", "", "in a sentence"),
        ("Tests: tests/unit/classifier/test_paths.py\n", "", "Tests:"),
        ("Tests: tests/unit/classifier/test_paths.py", "Tests:", "Tests:"),
        ("db/queue/ledger.py", "tests/conftest.py", "no product code"),
        ("-the line\n", "-the line\n-and another\n", "removes 2 and adds 1"),
        ("-the line\n+the broken line\n", " the line\n", "removes 0 and adds 0"),
        (" after\n", " after\n@@ -9 +9 @@\n-x\n+y\n", "one hunk of one file"),
    ],
)
def test_a_malformed_patch_is_refused_with_the_reason(tmp_path, old, new, reason):
    assert old in GOOD
    (tmp_path / "x.patch").write_text(GOOD.replace(old, new))

    with pytest.raises(PatchError, match=reason):
        read_patch(tmp_path / "x.patch")
