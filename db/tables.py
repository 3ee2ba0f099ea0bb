"""The tables of DESIGN's data model, as SQLAlchemy Core.

Core and not ORM: batches are written by the thousand rows, and an object a row would cost more than
the classification.

Times are always the database's clock (`db.dialects.now`): workers' clocks disagree.
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

#: SQLite makes a rowid alias only of INTEGER PRIMARY KEY.
_ID: Final = BigInteger().with_variant(Integer(), "sqlite")
_TIME: Final = DateTime(timezone=True)

# One row: the oldest revision whose code may still work with these tables. A script that only adds
# leaves it; one that takes something away, or changes what a column means, writes its own revision.
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
    # Set when the producer has written its last batch; NULL means it is walking, or died walking.
    Column("submitted_at", _TIME),
)

#: Batches that need a message, in the words of their index.
PENDING: Final = text("state = 'pending'")

batches: Final = Table(
    "batches",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("ingest_id", _ID, ForeignKey("ingests.id"), nullable=False),
    Column("root", String(64), nullable=False),
    # Three parallel lists, one entry a sound. JSON and not rows: a batch is claimed, returned and
    # closed as a whole, and a row a path would double what an ingest writes.
    Column("paths", JSON, nullable=False),
    Column("packs", JSON, nullable=False),
    Column("vendors", JSON, nullable=False),
    Column("sound_count", Integer, nullable=False),
    # Whether the producer saw any of its files. If it did and all are missing, a mount is away.
    Column("seen", Boolean, nullable=False, server_default=true()),
    Column("state", String(8), nullable=False),
    # Times a claim ended without a result and without an excuse (a dead worker, our own fault).
    Column("attempts", Integer, nullable=False, server_default="0"),
    # Times in a row that the world was in the way, and until when it is given to recover.
    Column("setbacks", Integer, nullable=False, server_default="0"),
    Column("due_at", _TIME),
    # Why it last came back to the queue, in words for a person; NULL: it never did.
    Column("reason", Text),
    # One sound that is thought to end its readers. It is tried alone, where there are no workers in
    # a process of its own.
    Column("suspect", Boolean, nullable=False, server_default=false()),
    # Somebody waits for it: announced before all others, in a queue of its own.
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
    # Finished batches outnumber the others a thousand to one and no dispatcher asks for them.
    Index(
        "ix_batches_open",
        "state",
        "id",
        postgresql_where=text("state <> 'done'"),
        sqlite_where=text("state <> 'done'"),
    ),
    # Asked for at every dispatch, root by root.
    Index(
        "ix_batches_pending_root",
        "root",
        "id",
        postgresql_where=PENDING,
        sqlite_where=PENDING,
    ),
    # Asked for at every dispatch, and nearly always empty.
    Index(
        "ix_batches_interactive",
        "id",
        postgresql_where=text("interactive AND state = 'pending'"),
        sqlite_where=text("interactive AND state = 'pending'"),
    ),
    # How far an ingest is. Without it SQLite reads all lists of paths for what stands behind them.
    Index("ix_batches_progress", "ingest_id", "state", "classified", "failed"),
    Index("ix_batches_finished_at", "finished_at"),
    # For "nothing was claimed for N seconds".
    Index("ix_batches_started_at", "started_at"),
    # All that metrics ask of batches, so that nobody reads 10,000 lists of paths to count them.
    Index("ix_batches_counted", "state", "created_at", "sound_count", "classified", "failed"),
)

#: Upper bounds of the histogram of confidence in `batch_measures`, in percent.
CONFIDENCE_PERCENT: Final = (30, 40, 50, 60, 70, 80, 90, 100)

# What a batch that was classified cost, and how sure the model was. A table of its own, because all
# of it is summed for each scrape of the metrics, and rows of `batches` are wide. No row: nobody
# measured, as with a batch from before this table, or one that a version from before it finished.
batch_measures: Final = Table(
    "batch_measures",
    metadata,
    Column("batch_id", _ID, ForeignKey("batches.id"), primary_key=True, autoincrement=False),
    # From being written to the ledger to the claim that finished it.
    Column("waited_seconds", Float, nullable=False),
    Column("headers_seconds", Float, nullable=False),
    Column("folders_seconds", Float, nullable=False),
    Column("model_seconds", Float, nullable=False),
    # Until the rows were handed over: what the commit takes is not known before it.
    Column("database_seconds", Float, nullable=False),
    # Of the names of its sounds, as far as the model reads them.
    Column("tokens", Integer, nullable=False),
    Column("unknown_tokens", Integer, nullable=False),
    # Sounds the model was too unsure about.
    Column("unsure", Integer, nullable=False),
    Column("confidence_sum", Float, nullable=False),
    # Sounds whose confidence is at most this, and more than the bound before.
    *(Column(f"confidence_{percent}", Integer, nullable=False) for percent in CONFIDENCE_PERCENT),
)

#: That a file is still there. What was known of one that is gone is kept, out of lists and counts.
#: Like those below in words and without parameters: a query that says the same is answered by an
#: index of such rows.
PRESENT: Final = "gone_at IS NULL"

#: That the latest visit of a file that is there failed.
FAILED: Final = f"status = 'failed' AND {PRESENT}"

#: That a person should look at a sound: the model was unsure when it classified it, and it has no
#: label. A row of a version that did not say so is unsure below a half.
NEEDS_REVIEW: Final = (
    "status = 'classified' AND label IS NULL AND coalesce(needs_review, confidence < 0.5)"
    f" AND {PRESENT}"
)

sounds: Final = Table(
    "sounds",
    metadata,
    Column("id", _ID, primary_key=True),
    # BLAKE2b-128 of root and path (`db.results.sounds.sound_key`). A unique index on the path
    # itself would fail on PostgreSQL for paths over 2,704 bytes, and is four times as large for
    # ordinary ones.
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
    # The label in force; `label_history` has those before it.
    Column("label", String(32)),
    Column("label_source", String(32)),
    Column("labelled_by", Text),
    Column("labelled_at", _TIME),
    # Whether models are measured on this sound instead of learning from it. Decided when training
    # first reads its label, from its vendor's and pack's names; kept here, because names may
    # change, and a sound that a model was measured on must not be learned by a later one.
    Column("held_out", Boolean),
    # By-products (`classifier.names.attributes`), each with where it was found.
    Column("tempo_bpm", Float),
    Column("tempo_source", String(16)),
    Column("musical_key", String(16)),
    Column("key_source", String(16)),
    Column("playback", String(16)),
    Column("playback_source", String(16)),
    Column("instrument", String(32)),
    Column("instrument_source", String(16)),
    # What the category rests on.
    Column("evidence", String(16)),
    # Whether the model was too unsure when it said so; null in rows that are older than this.
    Column("needs_review", Boolean),
    # When a walk of its folder first missed the file; NULL: it is there.
    Column("gone_at", _TIME),
    # Few have failed. The columns behind the first two are those of the condition: SQLite counts
    # without a look at the rows only where an index has all that is asked about.
    Index(
        "ix_sounds_failed_present",
        "status",
        "error_code",
        "gone_at",
        postgresql_where=text(FAILED),
        sqlite_where=text(FAILED),
    ),
    # The histogram, and the sounds of a category: by this where they have no label, else by the
    # next. One index with the label first would also be taken for the order of review.
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
    # By these a file that moved is known again.
    Index(
        "ix_sounds_gone",
        "file_size_bytes",
        "mtime_ns",
        "gone_at",
        postgresql_where=text("gone_at IS NOT NULL"),
        sqlite_where=text("gone_at IS NOT NULL"),
    ),
    Index("ix_sounds_confidence", "confidence"),
    # The order of review, and its length.
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

# Every label that was ever given; rows are only added, and follow a file that moves. It names
# sounds by root and path, so that it outlives rows of `sounds`.
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
    # A result looks here for labels that were given before their sound had a row.
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
    # At most one champion, whoever promotes and however often at once.
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
    # The schedule's moment; unique, so that two beats start one run. NULL: started by hand.
    Column("slot", String(64), unique=True),
    Column("trigger", String(8), nullable=False),
    Column("state", String(8), nullable=False),
    # Kept when the run is over: who lost the answer to a commit can ask whether it came through.
    Column("token", String(32), nullable=False),
    Column("holder", String(255), nullable=False),
    # For a person: what is being computed, and how far it is.
    Column("stage", Text),
    Column("lease_expires_at", _TIME, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("libraries", JSON, nullable=False),
    # What served when the run began; NULL: the starter.
    Column("champion", String(64)),
    Column("sizes", JSON),
    Column("metrics", JSON),
    Column("verdict", String(16)),
    Column("reason", Text),
    Column("model_version", String(64)),
    # HTML under gzip.
    Column("report", LargeBinary),
    # The newest entry of the labels' history the run had read.
    Column("last_label_id", _ID),
    Column("started_at", _TIME, nullable=False),
    Column("finished_at", _TIME),
    # At most one at once, whoever starts it and wherever.
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
    # NULL: the starter. No foreign keys to `models`: history outlives a model that was removed.
    Column("version", String(64)),
    Column("previous", String(64)),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    # The promotion this one took back; NULL: it is no rollback.
    Column("undoes", _ID, ForeignKey("promotions.id"), unique=True),
    Column("promoted_at", _TIME, nullable=False),
)
