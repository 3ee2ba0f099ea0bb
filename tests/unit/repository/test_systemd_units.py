"""The unit file of examples/systemd: systemd accepts it, and it agrees with the product."""

import re
import shutil
import subprocess

import pytest

from cli.commands import cratesort
from tests.support.places import REPOSITORY
from workers.settings import Settings

FOLDER = REPOSITORY / "examples" / "systemd"
UNIT = FOLDER / "cratesort@.service"
DROP_IN = FOLDER / "cratesort@trainer.service.d" / "trainer.conf"
PAGE = (REPOSITORY / "docs" / "how-to" / "run-under-systemd.md").read_text(encoding="utf-8")

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def setting(name):
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    return value


@pytest.fixture
def installed(tmp_path):
    """The units in a folder of their own, where the program that they start exists."""
    program = "/opt/cratesort/bin/cratesort"
    (tmp_path / DROP_IN.parent.name).mkdir()
    for path in (UNIT, DROP_IN):
        text = path.read_text(encoding="utf-8").replace(program, shutil.which("true"))
        copy = tmp_path / path.relative_to(FOLDER)
        copy.write_text(text)
        copy.chmod(0o644)
    return tmp_path


@needs_systemd
@pytest.mark.parametrize("instance", ["worker", "beat", "intake", "metrics", "trainer"])
def test_systemd_accepts_the_unit(installed, instance):
    template = installed / UNIT.name
    unit = template.with_name(f"cratesort@{instance}.service")
    shutil.copy(template, unit)
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit]
    done = subprocess.run(verify, capture_output=True, text=True)
    # Of other units of this host it may print what it likes.
    ours = [line for line in done.stderr.splitlines() if "cratesort" in line]
    assert (done.returncode, ours) == (0, [])


@needs_systemd
def test_its_exposure_is_what_the_page_states():
    security = ["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT]
    done = subprocess.run(security, capture_output=True, text=True)
    (exposure,) = re.findall(r"exposure level for .*: ([\d.]+)", done.stdout)
    # Versions of systemd differ in what they look at.
    (stated,) = re.findall(r"exposure level for .*: ([\d.]+)", PAGE)
    assert abs(float(exposure) - float(stated)) <= 0.5


def test_it_stops_later_than_a_batch_may_take():
    assert int(setting("TimeoutStopSec")) > Settings.model_fields["time_limit_seconds"].default + 10


def test_its_instances_are_commands():
    instances = {"worker", "beat", "intake", "metrics"}
    assert instances <= set(cratesort.list_commands(None))
    assert all(f"cratesort@{instance}" in PAGE for instance in instances)


def test_the_settings_of_its_example_are_settings():
    names = re.findall(
        r"^CRATESORT_(\w+)=", (FOLDER / "cratesort.env").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {name.lower() for name in names} <= set(Settings.model_fields)
