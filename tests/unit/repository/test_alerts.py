"""The alert rules: they parse, they fire when they should, and each leads to what to do."""

import os
import re
import shutil
import subprocess

import pytest

from tests.support.places import REPOSITORY

MONITORING = REPOSITORY / "monitoring"

#: Each rule's name and text. Read as text: promtool, below, knows YAML.
RULES = re.findall(
    r"^ +- alert: (\w+)\n(.*?)(?=^ +- alert|\Z)",
    (MONITORING / "alerts.yml").read_text(),
    re.MULTILINE | re.DOTALL,
)
#: Each test's name and text.
TESTS = re.findall(
    r"^  - name: (.+?)\n(.*?)(?=^  - name|\Z)",
    (MONITORING / "alerts_test.yml").read_text(),
    re.MULTILINE | re.DOTALL,
)

each_rule = pytest.mark.parametrize(("name", "rule"), RULES, ids=[name for name, _ in RULES])

#: Where it is missing in CI the test fails instead: the rules would go unchecked.
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None and os.environ.get("CI") != "true",
    reason="promtool is not here: apt-get install prometheus",
)


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@needs_promtool
@pytest.mark.parametrize(
    "check",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts_the_rules(check):
    done = subprocess.run(["promtool", *check], cwd=MONITORING, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def stated(rule, key):
    """What a rule says on the line of this key."""
    (value,) = re.findall(rf"^ +{key}: (.+)$", rule, re.MULTILINE)
    return value


def test_there_are_eleven_alerts():
    assert len(dict(RULES)) == len(RULES) == 11


@each_rule
def test_an_alert_has_a_severity_a_description_and_a_runbook_section(name, rule):
    assert stated(rule, "severity") in ("critical", "warning")
    assert stated(rule, "summary").endswith(".")
    assert stated(rule, "description")
    document, _, anchor = stated(rule, "runbook_url").partition("#")
    assert document == "docs/how-to/runbook.md"
    assert anchor in anchors(REPOSITORY / document)


@each_rule
def test_an_alert_is_tested_to_fire_alone(name, rule):
    (tested,) = (text for of, text in TESTS if of == name)
    assert re.findall(r'alertname="(\w+)"', tested) == [name]


@each_rule
def test_an_alert_is_a_row_of_the_documents_table(name, rule):
    _, _, anchor = stated(rule, "runbook_url").partition("#")
    page = (REPOSITORY / "docs" / "how-to" / "runbook.md").read_text()
    assert re.search(rf"^\| `{name}` \|.*\(#{anchor}\)", page, re.MULTILINE)


def test_the_messages_that_the_runbook_quotes_are_printed():
    # Given the source without the breaks of long strings, and without what is filled in
    packages = ("classifier", "cli", "db", "tasks", "training", "workers")
    files = [path for package in packages for path in (REPOSITORY / package).rglob("*.py")]
    joined = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text() for path in files))
    source = re.sub(r"\{[^{}]*\}|%\w", "...", joined)
    # When a line of the runbook names where a fault is seen, and what is printed there
    page = (REPOSITORY / "docs" / "how-to" / "runbook.md").read_text()
    places = (
        r"^(?:`Cratesort\w+`\. )?(?:Worker|Worker or beat|Intake|Beat|Trainer|`cratesort \w+`): .*"
    )
    seen = re.findall(rf"{places}(?:\n.+)*", page, re.MULTILINE)
    quoted = [text for part in seen for text in re.findall(r"`([^`]+)`", part)]
    messages = [text for text in quoted if " " in text and not text.startswith("cratesort ")]
    assert len(messages) > 10
    # Then the product prints it
    assert [text for text in messages if text not in source] == []


def test_a_busy_and_an_idle_fleet_are_tested_to_fire_no_alert():
    silent = [name for name, text in TESTS if "exp_samples: []" in text and "alertname" not in text]
    assert len(silent) == 2
