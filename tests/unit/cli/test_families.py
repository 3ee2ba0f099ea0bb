"""Every name of a metric that a document, an alert or a panel uses is one that is served."""

import json
import re
from datetime import UTC, datetime

import pytest

from classifier.errors import ErrorCode
from cli.metrics.families import RUN_STATES, CratesortCollector
from cli.metrics.readings import BrokerNumbers, DatabaseNumbers, SoundNumbers
from db.registry.training_runs import TrainingRun
from db.reporting.batch_metrics import CONFIDENCE_BOUNDS, PHASES, WAIT_BOUNDS_SECONDS, Measures
from db.reporting.counts import CategoryCounts, LedgerCounts
from db.reporting.open_work import OpenWork, RootWork
from db.states import BatchState, RunState, RunTrigger, RunVerdict
from tasks.inbox.redis_lists import InboxCounts
from tests.support.places import REPOSITORY

MONITORING = REPOSITORY / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana/dashboards/cratesort.json").read_text())
#: From `expr` to the next key of the rule, for each alert.
ALERTS = re.findall(
    r"- alert: (\w+)$.*?^ +expr: (.+?)^ +(?:for|labels):",
    (MONITORING / "alerts.yml").read_text(),
    re.MULTILINE | re.DOTALL,
)
EXPRESSIONS = dict(ALERTS) | {
    f"{panel['title']} {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
}

RUN = TrainingRun(
    id=1,
    slot=None,
    trigger=RunTrigger.HAND,
    state=RunState.DONE,
    lease_expired=False,
    holder="here:1",
    stage=None,
    seed=1,
    libraries={},
    sizes={},
    metrics={},
    champion=None,
    verdict=RunVerdict.KEPT,
    reason="it is not better",
    model_version="model-2",
    last_label_id=1,
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    finished_at=datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
)


class FullReader:
    """Stands in for a database and a Redis that have something to say of everything."""

    has_broker = True

    def database(self):
        return DatabaseNumbers(
            ledger=LedgerCounts(dict.fromkeys(map(str, BatchState), 1), 1, 1, 1, 1.0),
            work=OpenWork((RootWork("packs", 1, 1.0, 1, 3, "not\nmounted"),)),
            measures=Measures(
                batches=1,
                waited=(1,) * len(WAIT_BOUNDS_SECONDS),
                waited_seconds=0.5,
                phase_seconds=dict.fromkeys(PHASES, 0.5),
                tokens=2,
                unknown_tokens=1,
                unsure=1,
                confidence=(1,) * len(CONFIDENCE_BOUNDS),
                confidence_sum=0.2,
            ),
            model_version="model\x1b[31m",
            run=RUN,
        )

    def sounds(self):
        return SoundNumbers({ErrorCode.TRUNCATED: 1}, CategoryCounts({"drum": 1}, {}, 1))

    def broker(self):
        return BrokerNumbers({"classify": 1}, InboxCounts(waiting=1, taken=0, dead=0, intakes=1))


@pytest.fixture(scope="module")
def families():
    """All that can be served."""
    return list(CratesortCollector(FullReader()).collect())


@pytest.fixture(scope="module")
def series(families):
    """The labels of each name that can be asked for."""
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def served_name(family):
    """A metric's name as the page's TYPE line has it."""
    ending = {"counter": "_total", "info": "_info"}.get(family.type, "")
    return family.name + ending


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_metric_in_an_alert_or_a_panel_exists(where, series):
    names = set(re.findall(r"cratesort_\w+", EXPRESSIONS[where]))
    assert names
    assert names <= set(series)


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_label_in_an_alert_or_a_panel_belongs_to_its_metric(where, series):
    for name, matchers in re.findall(r"(cratesort_\w+)\{([^}]*)\}", EXPRESSIONS[where]):
        assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= series[name]


def test_every_metric_is_on_the_dashboard(families):
    shown = " ".join(
        target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())
    )
    hidden = {"cratesort_training_run_start_timestamp_seconds"}
    absent = {served_name(f) for f in families if f.name not in shown}
    assert absent == hidden


def test_the_document_lists_the_metrics_with_types_and_labels(families):
    page = (REPOSITORY / "docs" / "reference" / "metrics.md").read_text()
    stated = {
        name: (kind, {label.strip("` ") for label in labels.split(",")} - {""})
        for name, kind, labels in re.findall(
            r"^\| `(cratesort_\w+)` \| (\w+) \|([^|]*)\|", page, re.MULTILINE
        )
    }
    served = {
        served_name(family): (
            family.type,
            set().union(*(sample.labels for sample in family.samples)) - {"le"},
        )
        for family in families
    }
    assert stated == served


def test_names_and_units_follow_prometheus_conventions(families):
    for family in families:
        name = served_name(family)
        assert re.fullmatch(r"cratesort_[a-z_]+", name)
        assert not re.search(r"milli|minutes|hours|percent|bytes_seconds", name)
        assert family.documentation.endswith(".")


def test_control_characters_of_a_model_version_are_escaped(families):
    (model,) = (family for family in families if family.name == "cratesort_model")
    assert model.samples[0].labels["version"].isprintable()


def test_the_states_of_a_training_run_are_a_closed_list(families):
    (run,) = (family for family in families if family.name == "cratesort_training_run")
    assert {s.labels["state"]: s.value for s in run.samples} == {
        **dict.fromkeys(RUN_STATES, 0),
        "kept": 1,
    }
    possible = {*RunVerdict, RunState.RUNNING, RunState.FAILED, "expired", "none"}
    assert set(RUN_STATES) == possible
