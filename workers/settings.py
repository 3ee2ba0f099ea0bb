"""Settings: CRATESORT_* environment variables, or the same names in a .env file, read once.

`.env.example` lists them all with their units; a test holds that list and this class together.
"""

import difflib
import hashlib
import os
import re
import socket
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, NoDecode, SettingsConfigDict

from classifier.errors import CratesortError
from workers.logging_setup import LogFormat

PREFIX: Final = "CRATESORT_"

ROOT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ConfigurationError(CratesortError):
    """A setting that is missing, misspelt or makes no sense; names the variable."""


def _is_redis_url(url: str) -> bool:
    """Whether it can be one; here, for kombu says so with a traceback, when there is work."""
    if url.startswith("redis+socket://"):
        return True
    if not url.startswith(("redis://", "rediss://", "sentinel://")):
        return False
    try:
        # Sentinels are several, each a URL.
        parts = [urlsplit(part) for part in url.split(";") if part]
        hosts = [(part.hostname, part.port) for part in parts]
    except ValueError:
        return False  # its port is no number, or none that there is
    if url.startswith("sentinel://"):
        return all(host for host, _ in hosts)
    databases = [part.path.strip("/") for part in parts]
    return all(not database or database.isdecimal() for database in databases)


class Settings(BaseSettings):
    """All settings; each default is the one for production on two cores.

    Attributes are the environment variables without their prefix, in lower case.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    #: ``redis://:password@host:6379/0``. Unset: everything runs in the calling process.
    broker_url: SecretStr | None = None
    #: ``postgresql://user:password@host/name`` or ``sqlite:///file``. Unset: `data_folder`.
    database_url: SecretStr | None = None
    #: ``packs=/mnt/packs,main=/library``. A bare path is called ``library``.
    library_roots: Annotated[dict[str, Path], NoDecode] = Field(default_factory=dict)
    #: Where the SQLite file and small state live when nothing else is configured.
    data_folder: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("cratesort", appauthor=False))
    )
    #: Most sounds in one batch: one message, one claim, one transaction. Where these would take
    #: longer than a second, a batch is of fewer.
    batch_size: int = Field(default=2048, ge=1, le=10_000)
    #: ``onnx`` needs the base install alone; ``keras`` runs the originals and needs [training].
    engine: Literal["onnx", "keras"] = "onnx"
    #: Folder level below the root that names the vendor (1: the first). Unset: the pack is it.
    vendor_level: int | None = Field(default=None, ge=1, le=16)
    #: Whether the last two folders may speak where a name says nothing: of the category, and of
    #: tempo, key, playing and instrument.
    folder_words: bool = True
    #: Batches queued or running at once: bounds what Redis holds and what its loss repeats.
    window_batches: int = Field(default=64, ge=1, le=100_000)
    #: A batch that runs longer is killed; a producer's message cannot change that.
    time_limit_seconds: float = Field(default=45.0, gt=0, le=86_400)
    #: Added to the time limit to make the lease: killing and reporting take a moment.
    lease_margin_seconds: float = Field(default=30.0, gt=0, le=86_400)
    #: A queued batch nobody claimed for this long gets a new message.
    stale_seconds: float = Field(default=60.0, gt=0, le=86_400)
    #: How often housekeeping looks for expired leases and lost messages.
    sweep_seconds: float = Field(default=10.0, gt=0, le=86_400)
    #: Work waits and nothing was claimed for this long: the workers are not healthy.
    stuck_seconds: float = Field(default=120.0, gt=0, le=86_400)
    #: What a worker's child may take beyond what it has when its model is loaded. Enforced with
    #: the default engine on Linux.
    child_memory_mebibytes: int = Field(default=512, ge=64, le=1_048_576)
    #: When beat wakes the trainer: minute, hour, day of month, month, day of week, in UTC; where
    #: both days are given, both must match. ``off``: never.
    training_schedule: str = "0 3 * * *"
    #: A scheduled run starts only when this many labels came in since the last one that ended well.
    training_new_labels: int = Field(default=200, ge=1, le=1_000_000_000)
    #: A training run that gives no sign of life for this long is taken for dead.
    training_lease_seconds: float = Field(default=120.0, ge=5, le=86_400)
    #: A training run that takes longer is stopped.
    training_time_limit_seconds: float = Field(default=14_400.0, gt=0, le=604_800)
    #: ``user:password`` of who may look at `cratesort flower`.
    flower_login: SecretStr | None = None
    #: DEBUG, INFO, WARNING or ERROR.
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    #: Of services' logs: ``text``, ``json``, or ``auto``: text on a terminal, else json.
    log_format: LogFormat = "auto"

    @field_validator("library_roots", mode="before")
    @classmethod
    def _parse_roots(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        roots: dict[str, Path] = {}
        for part in filter(None, (part.strip() for part in value.split(","))):
            name, equals, folder = part.partition("=")
            if not equals:
                name, folder = "library", part
            path = _without_tilde(Path(folder.strip()))
            if not ROOT_NAME.fullmatch(name.strip()):
                raise ValueError(f"a root's name is letters, digits, . _ -, not {name!r}")
            if not path.is_absolute():
                raise ValueError(
                    f"root {name.strip()!r} must be an absolute folder, not {folder!r}"
                )
            if roots.setdefault(name.strip(), path) != path:
                raise ValueError(f"two roots are called {name.strip()!r}")
        return roots

    @field_validator("data_folder")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return _without_tilde(value)

    @field_validator("broker_url")
    @classmethod
    def _check_broker(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_redis_url(value.get_secret_value()):
            raise ValueError("expected a Redis URL like redis://:password@host:6379/0")
        return value

    @field_validator("flower_login")
    @classmethod
    def _check_login(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not all(value.get_secret_value().partition(":")):
            raise ValueError("expected user:password")
        return value

    @field_validator("training_schedule")
    @classmethod
    def _check_schedule(cls, value: str) -> str:
        value = " ".join(value.split())
        if value != cls.model_fields["training_schedule"].default:
            # Here: the parser is Celery's, which who works in one process does not load.
            from workers.training_schedule import parse_schedule

            parse_schedule(value)
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @property
    def in_process(self) -> bool:
        """Whether work runs in the calling process, for want of a broker."""
        return self.broker_url is None

    @cached_property
    def database(self) -> str:
        """The database URL in force, with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_folder / 'cratesort.db'}"

    @property
    def running_folder(self) -> Path:
        """Where this host's processes that work on this database leave their notes.

        By host, for a data folder may be shared over a network that does not carry locks; by
        database, for a batch's number means nothing in another one.
        """
        from sqlalchemy.engine import make_url  # takes a third of a second, and few need it

        url = make_url(self.database)._replace(password=None)
        if url.get_backend_name() == "sqlite" and url.database:
            url = url.set(database=os.path.abspath(os.path.expanduser(url.database)))
        url_text = url.render_as_string()
        key = hashlib.blake2b(url_text.encode(), digest_size=8).hexdigest()
        return self.data_folder / "running" / f"{socket.gethostname()[:200]}-{key}"

    @property
    def lease_seconds(self) -> float:
        """How long a claim holds."""
        return self.time_limit_seconds + self.lease_margin_seconds


def load_settings() -> Settings:
    """Read the settings.

    Raises
    ------
    ConfigurationError
        One line a fault, naming the variable; values of URLs are never repeated.
    """
    _refuse_unknown_names(os.environ)
    try:
        _refuse_unknown_names(name.upper() for name in DotEnvSettingsSource(Settings).env_vars)
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the file .env here cannot be read: {error}") from None
    except ValidationError as error:
        lines = []
        for fault in error.errors(include_input=True, include_url=False):
            name = PREFIX + str(fault["loc"][0]).upper()
            got = "" if name.endswith(("_URL", "_LOGIN")) else f" (got {fault['input']!r})"
            lines.append(f"{name}: {fault['msg'].removeprefix('Value error, ')}{got}")
        raise ConfigurationError("\n".join(lines)) from None


def _without_tilde(path: Path) -> Path:
    # In a .env file nothing expands it. Not Path.expanduser, which raises for an unknown user.
    return Path(os.path.expanduser(path))


def _refuse_unknown_names(names: Any) -> None:
    """Refuse a misspelt variable: ignored, it would send the work to the wrong database."""
    known = {field.upper() for field in Settings.model_fields}
    for name in sorted(names):
        own = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and own not in known:
            # Without the prefix, which would make any two names alike.
            close = difflib.get_close_matches(own, known, n=1)
            hint = (
                f"did you mean {PREFIX}{close[0]}?" if close else ".env.example lists the settings"
            )
            raise ConfigurationError(f"{name}: there is no such setting; {hint}")
