"""The names, types, units and labels of the metrics of ``cratesort metrics``.

`docs/reference/metrics.md` lists them; a test compares the two.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from classifier.categories import CATEGORIES
from classifier.errors import ErrorCode
from classifier.files.paths import printable
from cli.console.output import utc
from cli.metrics.readings import BrokerNumbers, DatabaseNumbers, MetricReader, SoundNumbers
from db.registry.training_runs import TrainingRun
from db.reporting.batch_metrics import CONFIDENCE_BOUNDS, WAIT_BOUNDS_SECONDS, Measures

#: States of the latest training run: the values of the label of `cratesort_training_run`.
RUN_STATES: Final = ("none", "running", "expired", "failed", "promoted", "kept", "stored")


class CratesortCollector(Collector):
    """Reads all numbers at each scrape and yields them as metric families.

    `database_answered`: whether the database answered at the last scrape.
    """

    def __init__(self, reader: MetricReader) -> None:
        self._reader = reader
        self.database_answered = False

    def describe(self) -> list[Metric]:
        """Return nothing: registering must not read the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read all numbers, and yield them as metric families."""
        numbers = self._reader.database()
        self.database_answered = numbers is not None
        yield _gauge("up", "Whether the database answered (1) or not (0).", float(bool(numbers)))
        if numbers is not None:
            yield from _of_ledger(numbers)
            yield from _of_measures(numbers.measures)
            yield from _of_model(numbers)
            sounds = self._reader.sounds()
            if sounds is not None:
                yield from _of_sounds(sounds)
        if self._reader.has_broker:
            broker = self._reader.broker()
            yield _gauge("broker_up", "Whether Redis answered (1) or not (0).", float(bool(broker)))
            if broker is not None:
                yield from _of_broker(broker)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"cratesort_{name}", text, value=value)


def _gauges(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"cratesort_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"cratesort_{name}", text, value=value)


def _of_ledger(numbers: DatabaseNumbers) -> Iterator[Metric]:
    ledger = numbers.ledger
    finished = CounterMetricFamily(
        "cratesort_finished_sounds",
        "Sounds of batches that are done, by outcome; a sound counts as often as it was visited.",
        labels=["outcome"],
    )
    finished.add_metric(["classified"], ledger.classified)
    finished.add_metric(["failed"], ledger.failed)
    yield finished
    yield _gauges("batches", "Batches of the ledger by state.", "state", ledger.batches)
    yield _gauge("open_sounds", "Sounds of batches that are not done.", ledger.open_sounds)
    yield _gauge(
        "oldest_waiting_batch_age_seconds",
        "Age of the oldest batch that is pending or queued; 0 when none is.",
        ledger.oldest_seconds or 0.0,
    )
    yield _gauge(
        "unclaimed_seconds",
        "Time for which work of a library root has waited and none was claimed; 0 when none "
        "waits. `cratesort health` checks this.",
        numbers.work.unclaimed_seconds,
    )
    returned = GaugeMetricFamily(
        "cratesort_returned_batches",
        "Batches that came back after a transient fault and are not done, with the reason of the "
        "one that came back most often.",
        labels=["root", "reason"],
    )
    for work in numbers.work.roots:
        if work.returned:
            returned.add_metric([work.root, printable(work.reason or "")], work.returned)
    yield returned


def _of_measures(measures: Measures) -> Iterator[Metric]:
    wait = HistogramMetricFamily(
        "cratesort_queue_wait_seconds",
        "Time from a batch's being written to the ledger to the claim that finished it.",
    )
    waited = _buckets(WAIT_BOUNDS_SECONDS, measures.waited, measures.batches)
    wait.add_metric([], waited, sum_value=measures.waited_seconds)
    yield wait
    phases = SummaryMetricFamily(
        "cratesort_batch_phase_seconds",
        "Time of a finished batch by phase: reading headers, listing folders, running the model, "
        "sending its rows to the database (without the commit).",
        labels=["phase"],
    )
    for phase, seconds in measures.phase_seconds.items():
        phases.add_metric([phase], count_value=measures.batches, sum_value=seconds)
    yield phases
    confidence = HistogramMetricFamily(
        "cratesort_confidence_ratio", "Confidence of the classified sounds' categories."
    )
    sure = _buckets(CONFIDENCE_BOUNDS[:-1], measures.confidence[:-1], measures.confidence[-1])
    confidence.add_metric([], sure, sum_value=measures.confidence_sum)
    yield confidence
    yield _counter(
        "unsure_sounds",
        "Classified sounds with a confidence below the threshold of the model's bundle, which need "
        "a review.",
        measures.unsure,
    )
    yield _counter("name_tokens", "Tokens of names that the model read.", measures.tokens)
    yield _counter(
        "unknown_name_tokens",
        "Tokens of names that the model read and its vocabulary does not hold.",
        measures.unknown_tokens,
    )


def _buckets(
    bounds: Sequence[float], counts: Sequence[int], all_of_them: int
) -> list[tuple[str, float]]:
    inner = [(str(bound), float(count)) for bound, count in zip(bounds, counts, strict=True)]
    return [*inner, ("+Inf", float(all_of_them))]


def _of_model(numbers: DatabaseNumbers) -> Iterator[Metric]:
    version = printable(numbers.model_version)
    yield InfoMetricFamily("cratesort_model", "The model that serves.", value={"version": version})
    run = numbers.run
    states = dict.fromkeys(RUN_STATES, 0)
    states[_state_of(run)] = 1
    yield _gauges(
        "training_run",
        "How the training run stands that began last (1), or the verdict on its model.",
        "state",
        states,
    )
    if run is not None:
        yield _gauge(
            "training_run_start_timestamp_seconds",
            "When the last training run began, by the database's clock.",
            utc(run.started_at).timestamp(),
        )
        if run.finished_at is not None:
            yield _gauge(
                "training_run_end_timestamp_seconds",
                "When the last training run ended, by the database's clock.",
                utc(run.finished_at).timestamp(),
            )


def _state_of(run: TrainingRun | None) -> str:
    if run is None:
        return "none"
    if run.lease_expired:
        return "expired"
    return str(run.verdict or run.state)


def _of_sounds(sounds: SoundNumbers) -> Iterator[Metric]:
    # Include all known error codes, so that a first failure is a rise from 0 and not a new series.
    # Codes that a newer version wrote are included, too.
    yield _gauges(
        "failed_sounds",
        "Sounds whose latest visit failed, by error code. Where counting them takes long, as of "
        "a while ago: at most a twentieth of the time is spent on it.",
        "error_code",
        {**dict.fromkeys(map(str, ErrorCode), 0), **sounds.errors},
    )
    yield _gauges(
        "classified_sounds",
        "Sounds by what they are filed as: their label, else the model's category, also of an "
        "earlier visit than one that failed; as old as failed_sounds.",
        "category",
        {category: sounds.categories.filed.get(category, 0) for category in CATEGORIES},
    )
    yield _gauges(
        "labelled_sounds",
        "Those of classified_sounds that are filed by a label.",
        "category",
        {category: sounds.categories.labelled.get(category, 0) for category in CATEGORIES},
    )


def _of_broker(broker: BrokerNumbers) -> Iterator[Metric]:
    text = "Messages that wait in Redis for a worker, by queue."
    yield _gauges("broker_messages", text, "queue", broker.messages)
    if broker.inbox is not None:
        text = "Entries of the inbox by list: waiting, taken by an intake, dead."
        inbox = broker.inbox
        lists = {"waiting": inbox.waiting, "taken": inbox.taken, "dead": inbox.dead}
        yield _gauges("inbox_entries", text, "list", lists)
        yield _gauge("intakes", "Processes that serve the inbox.", inbox.intakes)
