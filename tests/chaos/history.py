"""Every step of every batch, noted by a trigger in the run's own database.

A batch's row tells its last claim only. With all steps one can say how long any claim stood, and
whether somebody wrote a batch that was finished: a worker that slept through its lease must not.
Not here: what the ledger's rows must say in the end (`invariant`).
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Final

from sqlalchemy import Engine, text

from db.engine import create_engine, reading
from db.states import BatchState

_NOTE_STEPS: Final = """
CREATE TABLE chaos_steps (
    id bigserial PRIMARY KEY,
    batch_id bigint NOT NULL,
    before text,
    after text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION note_chaos_step() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_steps (batch_id, before, after)
    VALUES (NEW.id, CASE TG_OP WHEN 'UPDATE' THEN OLD.state END, NEW.state);
    RETURN NULL;
END $$;
CREATE TRIGGER note_chaos_step AFTER INSERT OR UPDATE ON batches
    FOR EACH ROW EXECUTE FUNCTION note_chaos_step();
"""


@dataclass
class History:
    """What the steps say, over all batches."""

    #: How often a batch went from one state to another, as "running to done".
    steps: Counter[str] = field(default_factory=Counter)
    #: The longest that any batch stood in a state, each time it did.
    longest_seconds: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def note_steps(url: str) -> None:
    """Have a PostgreSQL database, at this version's tables, note every step from now on."""
    database = create_engine(url)
    with database.begin() as connection:
        connection.exec_driver_sql(_NOTE_STEPS)
    database.dispose()


def read_history(database: Engine) -> History:
    """Return what the steps say."""
    history = History()
    query = text("SELECT batch_id, before, after, at FROM chaos_steps ORDER BY batch_id, id")
    with reading(database) as connection:
        steps = connection.execute(query).all()
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
            stood = (following.at - step.at).total_seconds()
            longest = history.longest_seconds.get(step.after, 0.0)
            history.longest_seconds[step.after] = max(longest, stood)
    return history
