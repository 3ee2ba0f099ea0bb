"""The database's tables, as SQLAlchemy Core.

Core and not the ORM, because rows are written by the thousand, and one object per row would cost
more than the classification.

Times are always the database's clock (`db.dialects.now`), because the clocks of workers differ.
"""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
    true,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: On SQLite, only INTEGER PRIMARY KEY is an alias of the rowid.
_ID: Final = BigInteger().with_variant(Integer(), "sqlite")
_TIME: Final = DateTime(timezone=True)

# One row: the oldest revision whose code can still use these tables. A migration that only adds
# something keeps it; one that removes something, or changes the meaning of a column, writes its own
# revision here.
compatibility: Final = Table(
    "compatibility",
    metadata,
    Column("oldest_revision", String(32), primary_key=True),
)

ingests: Final = Table(
    "ingests",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("source", Text, nullable=False),
    Column("found", BigInteger, nullable=False, server_default="0"),
    Column("ignored", BigInteger, nullable=False, server_default="0"),
    Column("skipped_unchanged", BigInteger, nullable=False, server_default="0"),
    Column("enqueued", BigInteger, nullable=False, server_default="0"),
    Column("started_at", _TIME, nullable=False),
    # When the producer wrote its last batch; NULL: it is still running, or was interrupted.
    Column("submitted_at", _TIME),
)

#: SQL condition of batches that need a message, exactly as in their indexes.
PENDING: Final = text("state = 'pending'")

batches: Final = Table(
    "batches",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("ingest_id", _ID, ForeignKey("ingests.id"), nullable=False),
    Column("root", String(64), nullable=False),
    # Three parallel lists with one entry per sound. JSON and not rows: a batch is claimed, returned
    # and closed as a whole, and one row per path would double what an ingest writes.
    Column("paths", JSON, nullable=False),
    Column("packs", JSON, nullable=False),
    Column("vendors", JSON, nullable=False),
    Column("sound_count", Integer, nullable=False),
    # Whether the producer saw any of its files. If it did and all are gone, a mount is missing.
    Column("seen", Boolean, nullable=False, server_default=true()),
    Column("state", String(8), nullable=False),
    # How many claims ended in a crash, a time-out or a bug.
    Column("attempts", Integer, nullable=False, server_default="0"),
    # How many transient errors came in a row, and when to try again after the latest.
    Column("setbacks", Integer, nullable=False, server_default="0"),
    Column("due_at", _TIME),
    # Why it was last returned to the queue, for users; NULL: it never was.
    Column("reason", Text),
    # Whether it is a single sound that is suspected of crashing workers. Without a broker, such a
    # batch is tried in a separate process.
    Column("suspect", Boolean, nullable=False, server_default=false()),
    # Whether a user waits for it. Such batches are sent before all others, to their own queue.
    Column("interactive", Boolean, nullable=False, server_default=false()),
    Column("token", String(32)),
    Column("worker", String(255)),
    Column("lease_expires_at", _TIME),
    Column("created_at", _TIME, nullable=False),
    Column("queued_at", _TIME),
    Column("started_at", _TIME),
    Column("finished_at", _TIME),
    Column("classified", Integer),
    Column("failed", Integer),
    # Without done batches, which are by far the most and which no dispatcher reads.
    Index(
        "ix_batches_open",
        "state",
        "id",
        postgresql_where=text("state <> 'done'"),
        sqlite_where=text("state <> 'done'"),
    ),
    # Read at every dispatch, root by root.
    Index(
        "ix_batches_pending_root",
        "root",
        "id",
        postgresql_where=PENDING,
        sqlite_where=PENDING,
    ),
    # Read at every dispatch, and nearly always empty.
    Index(
        "ix_batches_interactive",
        "id",
        postgresql_where=text("interactive AND state = 'pending'"),
        sqlite_where=text("interactive AND state = 'pending'"),
    ),
    # For the progress of an ingest. Without it SQLite would read all lists of paths to reach the
    # columns stored after them.
    Index("ix_batches_progress", "ingest_id", "state", "classified", "failed"),
    Index("ix_batches_finished_at", "finished_at"),
    # For the alert "nothing was claimed for N seconds".
    Index("ix_batches_started_at", "started_at"),
    # All columns that metrics need, so that counting does not read 10,000 lists of paths.
    Index("ix_batches_counted", "state", "created_at", "sound_count", "classified", "failed"),
)

#: Upper bounds of the confidence histogram in `batch_measures`, in percent.
CONFIDENCE_PERCENT: Final = (30, 40, 50, 60, 70, 80, 90, 100)

# How long a finished batch took, and how confident the model was. A table of its own, because each
# scrape of the metrics sums all rows, and rows of `batches` are wide. Batches that were finished by
# a version without this table have no row.
batch_measures: Final = Table(
    "batch_measures",
    metadata,
    Column("batch_id", _ID, ForeignKey("batches.id"), primary_key=True, autoincrement=False),
    # From being written to the ledger to the claim that finished it.
    Column("waited_seconds", Float, nullable=False),
    Column("headers_seconds", Float, nullable=False),
    Column("folders_seconds", Float, nullable=False),
    Column("model_seconds", Float, nullable=False),
    # Without the commit, because this row is written before the commit.
    Column("database_seconds", Float, nullable=False),
    # Tokens in the names of its sounds, as far as the model reads them.
    Column("tokens", Integer, nullable=False),
    Column("unknown_tokens", Integer, nullable=False),
    # Number of sounds that need a review, because the model was unsure.
    Column("unsure", Integer, nullable=False),
    Column("confidence_sum", Float, nullable=False),
    # Number of sounds whose confidence is at most this bound, and above the previous one.
    *(Column(f"confidence_{percent}", Integer, nullable=False) for percent in CONFIDENCE_PERCENT),
)

#: SQL condition: the file is still present. Rows of files that are gone are kept, but not listed
#: or counted. This and the conditions below are text without parameters, so that a query with the
#: same text can use the partial index with this condition.
PRESENT: Final = "gone_at IS NULL"

#: SQL condition: the file is present, and its latest classification failed.
FAILED: Final = f"status = 'failed' AND {PRESENT}"

#: SQL condition: a user should review the sound, because the model was unsure and it has no label.
#: Rows of versions without `needs_review` count as unsure when the confidence is below 0.5.
NEEDS_REVIEW: Final = (
    "status = 'classified' AND label IS NULL AND coalesce(needs_review, confidence < 0.5)"
    f" AND {PRESENT}"
)

sounds: Final = Table(
    "sounds",
    metadata,
    Column("id", _ID, primary_key=True),
    # BLAKE2b-128 of root and path (`db.results.sounds.sound_key`). A unique index on the path
    # itself would fail on PostgreSQL for paths over 2,704 bytes, and would be four times as large
    # for ordinary ones.
    Column("key", LargeBinary(16), nullable=False, unique=True),
    Column("root", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("pack", Text, nullable=False),
    Column("vendor", Text, nullable=False),
    Column("file_size_bytes", BigInteger),
    Column("mtime_ns", BigInteger),
    Column("duration_seconds", Float),
    Column("sample_rate_hz", Integer),
    Column("channels", Integer),
    Column("frame_count", BigInteger),
    Column("sample_type", String(32)),
    Column("status", String(10), nullable=False),
    Column("error_code", String(32)),
    Column("error_message", Text),
    Column("note", Text),
    Column("category", String(32)),
    Column("confidence", Float),
    # Twelve little-endian float32, in the order of classifier.categories.CATEGORIES.
    Column("probabilities", LargeBinary(48)),
    Column("model_version", String(64)),
    Column("classified_at", _TIME, nullable=False),
    # The current label; `label_history` also has the earlier ones.
    Column("label", String(32)),
    Column("label_source", String(32)),
    Column("labelled_by", Text),
    Column("labelled_at", _TIME),
    # Whether models are measured on this sound instead of trained on it. Decided when training
    # first reads its label, from the names of its vendor and pack. Stored, because names may
    # change, and no later model may be trained on a sound that models are measured on.
    Column("held_out", Boolean),
    # By-products (`classifier.names.attributes`), each with the place where it was found.
    Column("tempo_bpm", Float),
    Column("tempo_source", String(16)),
    Column("musical_key", String(16)),
    Column("key_source", String(16)),
    Column("playback", String(16)),
    Column("playback_source", String(16)),
    Column("instrument", String(32)),
    Column("instrument_source", String(16)),
    # What the category is based on.
    Column("evidence", String(16)),
    # Whether the model was unsure about the category; NULL in rows older than this column.
    Column("needs_review", Boolean),
    # When a walk of its folder first did not find the file; NULL: it is present.
    Column("gone_at", _TIME),
    # Few sounds have failed. The index also has all columns of its condition: SQLite counts without
    # reading the rows only if the index has every column of the query.
    Index(
        "ix_sounds_failed_present",
        "status",
        "error_code",
        "gone_at",
        postgresql_where=text(FAILED),
        sqlite_where=text(FAILED),
    ),
    # For counts by category and the sounds of a category: this index for sounds without a label,
    # the next for the others. With a single index on the label first, the database would choose it
    # for the order of review, too.
    Index(
        "ix_sounds_model_category",
        "category",
        "label",
        "status",
        "gone_at",
        postgresql_where=text(PRESENT),
        sqlite_where=text(PRESENT),
    ),
    Index(
        "ix_sounds_label",
        "label",
        "status",
        "gone_at",
        postgresql_where=text("label IS NOT NULL"),
        sqlite_where=text("label IS NOT NULL"),
    ),
    # Size and time identify a file that was moved.
    Index(
        "ix_sounds_gone",
        "file_size_bytes",
        "mtime_ns",
        "gone_at",
        postgresql_where=text("gone_at IS NOT NULL"),
        sqlite_where=text("gone_at IS NOT NULL"),
    ),
    Index("ix_sounds_confidence", "confidence"),
    # For the sounds that need a review, in their order, and for their number.
    Index(
        "ix_sounds_review_present",
        "confidence",
        "status",
        "label",
        "needs_review",
        "gone_at",
        postgresql_where=text(NEEDS_REVIEW),
        sqlite_where=text(NEEDS_REVIEW),
    ),
    # Labelled sounds are few among millions, and training reads them in this order.
    Index(
        "ix_sounds_labelled",
        "id",
        postgresql_where=text("label IS NOT NULL"),
        sqlite_where=text("label IS NOT NULL"),
    ),
)

# Every label that was ever given. Rows are only added; their paths are updated when a file moves.
# They identify sounds by root and path, so that they stay when rows of `sounds` are removed.
label_history: Final = Table(
    "label_history",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("key", LargeBinary(16), nullable=False),
    Column("root", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("category", String(32), nullable=False),
    Column("source", String(32), nullable=False),
    Column("labelled_by", Text, nullable=False),
    Column("labelled_at", _TIME, nullable=False),
    # For labels that were given before their sound had a row; each new result looks for them.
    Index("ix_label_history_key", "key"),
)

models: Final = Table(
    "models",
    metadata,
    Column("version", String(64), primary_key=True),
    Column("bundle", LargeBinary, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("champion", Boolean, nullable=False),
    Column("created_at", _TIME, nullable=False),
    # At most one champion, even with concurrent promotions.
    Index(
        "uq_models_champion",
        "champion",
        unique=True,
        postgresql_where=text("champion"),
        sqlite_where=text("champion"),
    ),
)

training_runs: Final = Table(
    "training_runs",
    metadata,
    Column("id", _ID, primary_key=True),
    # The scheduled time; unique, so that two schedulers start one run. NULL: started by hand.
    Column("slot", String(64), unique=True),
    Column("trigger", String(8), nullable=False),
    Column("state", String(8), nullable=False),
    # Kept when the run has ended: a process that lost the connection during its commit can check
    # whether the commit succeeded.
    Column("token", String(32), nullable=False),
    Column("holder", String(255), nullable=False),
    # What is being computed and its progress, for users.
    Column("stage", Text),
    Column("lease_expires_at", _TIME, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("libraries", JSON, nullable=False),
    # The model in use when the run began; NULL: the starter.
    Column("champion", String(64)),
    Column("sizes", JSON),
    Column("metrics", JSON),
    Column("verdict", String(16)),
    Column("reason", Text),
    Column("model_version", String(64)),
    # HTML, compressed with gzip.
    Column("report", LargeBinary),
    # The newest row of `label_history` that the run had read.
    Column("last_label_id", _ID),
    Column("started_at", _TIME, nullable=False),
    Column("finished_at", _TIME),
    # At most one running at a time, on all hosts.
    Index(
        "uq_training_runs_running",
        "state",
        unique=True,
        postgresql_where=text("state = 'running'"),
        sqlite_where=text("state = 'running'"),
    ),
)

promotions: Final = Table(
    "promotions",
    metadata,
    Column("id", _ID, primary_key=True),
    # NULL: the starter. No foreign keys to `models`, so that the history stays when a model is
    # removed.
    Column("version", String(64)),
    Column("previous", String(64)),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    # The promotion that this one rolled back; NULL: it is not a rollback.
    Column("undoes", _ID, ForeignKey("promotions.id"), unique=True),
    Column("promoted_at", _TIME, nullable=False),
)
