"""Every step of every batch, noted by a trigger in the run's own database.

A batch's row has its last claim only. From all steps follow how long any claim stood, how long
nothing was finished, and whether a finished batch was written again, which a worker whose lease has
expired must not do. What must hold of the rows at the end is in `invariant`.
"""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import Final

from sqlalchemy import Engine, Row, text

from db.engine import create_engine, reading
from db.states import BatchState

#: By the true clock: `tests.chaos.conditions` sets another one in its place.
_NOTE_STEPS: Final = {
    "postgresql": """
CREATE TABLE chaos_steps (
    id bigserial PRIMARY KEY,
    batch_id bigint NOT NULL,
    before text,
    after text NOT NULL,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE FUNCTION note_chaos_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.chaos_steps (batch_id, before, after)
    VALUES (NEW.id, CASE TG_OP WHEN 'UPDATE' THEN OLD.state END, NEW.state);
    RETURN NULL;
END $$;
CREATE TRIGGER note_chaos_step AFTER INSERT OR UPDATE ON batches
    FOR EACH ROW EXECUTE FUNCTION note_chaos_step();
""",
    "sqlite": """
CREATE TABLE chaos_steps (
    id INTEGER PRIMARY KEY,
    batch_id INTEGER NOT NULL,
    before TEXT,
    after TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);
CREATE TRIGGER note_new_batch AFTER INSERT ON batches BEGIN
    INSERT INTO chaos_steps (batch_id, after) VALUES (NEW.id, NEW.state);
END;
CREATE TRIGGER note_chaos_step AFTER UPDATE ON batches BEGIN
    INSERT INTO chaos_steps (batch_id, before, after) VALUES (NEW.id, OLD.state, NEW.state);
END;
""",
}


@dataclass(frozen=True)
class Gap:
    """A time in which work was open and nothing was finished, in seconds since the epoch."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long."""
        return self.end - self.begin


@dataclass
class History:
    """Conclusions from the steps of all batches."""

    #: How often a batch went from one state to another, as "running to done".
    steps: Counter[str] = field(default_factory=Counter)
    #: The longest that any batch stood in a state, each time it did.
    longest_seconds: dict[str, float] = field(default_factory=dict)
    #: From a batch's row to its end, faults, splits and solo tries of its poison included.
    longest_open_seconds: float = 0.0
    gaps: list[Gap] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def longest_gap(self, begin: float, end: float) -> float:
        """Return the longest gap that overlaps this time, in seconds."""
        met = (gap.seconds for gap in self.gaps if gap.begin < end and gap.end > begin)
        return max(met, default=0.0)


def note_steps(url: str) -> None:
    """Have a database, at this version's tables, note every step from now on."""
    database = create_engine(url)
    statements = _NOTE_STEPS[database.dialect.name]
    if database.dialect.name == "sqlite":
        # SQLAlchemy's way takes one statement at a time, and a trigger has several.
        with closing(sqlite3.connect(str(database.url.database))) as driver:
            driver.executescript(statements)
    else:
        with database.begin() as connection:
            connection.exec_driver_sql(statements)
    database.dispose()


def read_history(database: Engine) -> History:
    """Return the conclusions from the steps."""
    history = History()
    query = text("SELECT batch_id, before, after, at FROM chaos_steps ORDER BY batch_id, id")
    with reading(database) as connection:
        steps = connection.execute(query).all()
    #: When a batch came to be open or done, and by how much that changes the number of open ones.
    turns: list[tuple[float, int]] = []
    for batch_id, life in groupby(steps, key=lambda step: step.batch_id):
        own = list(life)
        for step in own:
            if step.before is not None:
                history.steps[f"{step.before} to {step.after}"] += 1
            if step.before == BatchState.DONE:
                history.wrong.append(f"batch {batch_id} was done, and written again")
            if step.after == BatchState.DONE and step.before != BatchState.RUNNING:
                history.wrong.append(f"batch {batch_id} went from {step.before} to done")
        # A message that is repeated leaves the batch where it stood.
        changes = [step for step in own if step.before != step.after]
        for step, following in pairwise(changes):
            stood = _moment(following) - _moment(step)
            longest = history.longest_seconds.get(step.after, 0.0)
            history.longest_seconds[step.after] = max(longest, stood)
        turns.append((_moment(own[0]), 1))
        if changes and changes[-1].after == BatchState.DONE:
            ended = _moment(changes[-1])
            turns.append((ended, -1))
            whole = ended - _moment(own[0])
            history.longest_open_seconds = max(history.longest_open_seconds, whole)
    history.gaps = _gaps(sorted(turns))
    return history


def _gaps(turns: list[tuple[float, int]]) -> list[Gap]:
    gaps = []
    n_open, since = 0, 0.0
    for moment, change in turns:
        if change < 0:
            gaps.append(Gap(since, moment))
        if change < 0 or not n_open:
            since = moment
        n_open += change
    return gaps


def _moment(step: Row[tuple[object, ...]]) -> float:
    at = step.at if isinstance(step.at, datetime) else datetime.fromisoformat(step.at)
    return at.replace(tzinfo=at.tzinfo or UTC).timestamp()
