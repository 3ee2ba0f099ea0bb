"""Settings: CRATESORT_* environment variables, or the same names in a .env file, read once.

`.env.example` lists them all with their units; a test compares that list with this class.
"""

import difflib
import hashlib
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, NoDecode, SettingsConfigDict

from classifier.errors import CratesortError
from classifier.files.paths import path_text, printable
from workers.broker_url import parse_broker_url
from workers.logging_setup import LogFormat

PREFIX: Final = "CRATESORT_"

ROOT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


#: Settings whose values may contain a password, so no message repeats them.
_SECRET: Final = ("_URL", "_LOGIN")

#: The rest of a URL after its scheme, which may contain a password, without the closing quote.
_REST_OF_URL: Final = re.compile(r"""://.+?(?=['"]?$)""")


class ConfigurationError(CratesortError):
    """Settings that are missing, misspelt or invalid; the message names each of them."""


class Settings(BaseSettings):
    """All settings; each default is the one for production on two cores.

    Attributes are the environment variables without their prefix, in lower case.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True
    )

    #: ``redis://:password@host:6379/0``, or as `workers.broker_url` has it. Unset: everything runs
    #: in the calling process.
    broker_url: SecretStr | None = None
    #: ``postgresql://user:password@host/name`` or ``sqlite:///file``. Unset: `data_folder`.
    database_url: SecretStr | None = None
    #: ``packs=/mnt/packs,main=/library``. A bare path is called ``library``.
    library_roots: Annotated[dict[str, Path], NoDecode] = Field(default_factory=dict)
    #: Where the SQLite file and small state live when nothing else is configured.
    data_folder: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("cratesort", appauthor=False))
    )
    #: Patterns of what an ingest passes over, separated by commas: ``Renders,*.tmp.wav``.
    exclude: Annotated[tuple[str, ...], NoDecode] = ()
    #: Most sounds in one batch; fewer where a batch would take longer than a second.
    batch_size: int = Field(default=2048, ge=1, le=10_000)
    #: ``keras`` runs the original models and needs the [training] extra.
    engine: Literal["onnx", "keras"] = "onnx"
    #: Folder level below the root that names the vendor (1: the first). Unset: that of the pack.
    vendor_level: int | None = Field(default=None, ge=1, le=16)
    #: Whether the last two folders' names count where a file's name is uninformative.
    folder_words: bool = True
    #: Batches queued or running at once: bounds what Redis holds and what its loss repeats.
    window_batches: int = Field(default=64, ge=1, le=100_000)
    #: A batch that runs longer is killed; a producer's message cannot change that.
    time_limit_seconds: float = Field(default=45.0, gt=0, le=86_400)
    #: The lease is the time limit plus this: killing and reporting take a moment.
    lease_margin_seconds: float = Field(default=30.0, gt=0, le=86_400)
    #: A queued batch that was not claimed for this long gets a new message.
    stale_seconds: float = Field(default=60.0, gt=0, le=86_400)
    #: How often expired leases and lost messages are looked for.
    sweep_seconds: float = Field(default=10.0, gt=0, le=86_400)
    #: With work waiting and no claim for this long, `cratesort health` fails.
    stuck_seconds: float = Field(default=120.0, gt=0, le=86_400)
    #: Memory of a worker's child beyond its size with the model loaded (``onnx`` on Linux only).
    child_memory_mebibytes: int = Field(default=512, ge=64, le=1_048_576)
    #: When beat wakes the trainer: crontab in UTC, where both days must match; or ``off``.
    training_schedule: str = "0 3 * * *"
    #: A scheduled run starts only with this many labels since the last successful one.
    training_new_labels: int = Field(default=200, ge=1, le=1_000_000_000)
    #: A training run without a heartbeat for this long is closed as failed.
    training_lease_seconds: float = Field(default=120.0, ge=5, le=86_400)
    #: A training run that takes longer is stopped.
    training_time_limit_seconds: float = Field(default=14_400.0, gt=0, le=604_800)
    #: ``user:password`` for `cratesort flower`.
    flower_login: SecretStr | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    #: Format of services' logs; ``auto``: text on a terminal, else json.
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
                raise ValueError(
                    "expected the name of a library root to have at most 64 letters, digits and "
                    f". _ -, got {name.strip()!r}"
                )
            if not path.is_absolute():
                raise ValueError(
                    f"expected an absolute folder for the library root {name.strip()!r}, "
                    f"got {folder.strip()!r}"
                )
            if roots.setdefault(name.strip(), path) != path:
                raise ValueError(
                    f"expected one folder for the library root {name.strip()!r}, got "
                    f"{str(roots[name.strip()])!r} and {str(path)!r}"
                )
        return roots

    @field_validator("exclude", mode="before")
    @classmethod
    def _parse_exclude(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(filter(None, (part.strip() for part in value.split(","))))

    @field_validator("data_folder")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return _without_tilde(value)

    @field_validator("broker_url")
    @classmethod
    def _check_broker(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_broker_url(value.get_secret_value())
        return value

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            from db.engine import parse_url  # loads SQLAlchemy

            parse_url(value.get_secret_value())
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
            # The parser is Celery's, which a run in one process does not load.
            from workers.training_schedule import parse_schedule

            parse_schedule(value)
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @property
    def in_process(self) -> bool:
        """Whether work runs in the calling process, because no broker is set."""
        return self.broker_url is None

    @property
    def reads_absolute_paths(self) -> bool:
        """Whether sounds of no library root can be read: without a broker and without roots."""
        return self.in_process and not self.library_roots

    @cached_property
    def database(self) -> str:
        """The database URL, with its password."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_folder / 'cratesort.db'}"

    @property
    def running_folder(self) -> Path:
        """Where this host's processes that work on this database keep their crash markers.

        One per host, because a data folder may be shared over a network without locks.
        """
        from sqlalchemy.engine import make_url  # takes a third of a second

        url = make_url(self.database)._replace(password=None)
        if url.get_backend_name() == "sqlite" and url.database:
            url = url.set(database=os.path.abspath(os.path.expanduser(url.database)))
        url_text = url.render_as_string()
        key = hashlib.blake2b(url_text.encode(), digest_size=8).hexdigest()
        return self.data_folder / "running" / f"{socket.gethostname()[:200]}-{key}"

    @property
    def lease_seconds(self) -> float:
        """How long a claim lasts."""
        return self.time_limit_seconds + self.lease_margin_seconds


def load_settings() -> Settings:
    """Read the settings.

    Raises ConfigurationError: the message lists all invalid settings, each with the place where it
    was set, what was expected and what came, but no secret.
    """
    try:
        env_file = DotEnvSettingsSource(Settings).env_vars
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the settings in {_env_path()}: {error}") from None
    problems = [
        *_unknown_names(os.environ, "the environment"),
        *_unknown_names(name.upper() for name in env_file),
    ]
    settings = None
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors(include_input=True, include_url=False):
            problems.append(_problem(str(fault["loc"][0]), fault))
    if settings is not None and not problems:
        return settings
    if len(problems) > 1:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise ConfigurationError(f"{len(problems)} settings are wrong:\n{lines}")
    raise ConfigurationError(problems[0])


def _env_path() -> str:
    """Return the path of the .env file for a message; ``.env`` if the folder was deleted."""
    try:
        return printable(path_text(str(Path(".env").absolute())))
    except OSError:
        return ".env"


def _unknown_names(names: Iterable[str], place: str | None = None) -> Iterator[str]:
    """Yield a message for each misspelt variable, which could send work to the wrong database.

    - `place`: by default the .env file.
    """
    known = {field.upper() for field in Settings.model_fields}
    for name in sorted(names):
        field = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and field not in known:
            close = difflib.get_close_matches(field, known, n=1)
            hint = (
                f"did you mean {PREFIX}{close[0]}?" if close else ".env.example lists the settings"
            )
            where = f"{printable(name)} (set in {place or _env_path()})"
            yield f"{where}: there is no such setting; {hint}"


def _problem(field: str, fault: Mapping[str, Any]) -> str:
    """Return one line about an invalid value: where it was set, what was expected, what came."""
    name = PREFIX + field.upper()
    in_environment = any(key.upper() == name and value for key, value in os.environ.items())
    place = "the environment" if in_environment else _env_path()
    if fault["type"] == "value_error":
        message = str(fault["ctx"]["error"])  # of a validator above
    else:
        message = f"expected {_expected(Settings.model_fields[field])}"
    if not name.endswith(_SECRET) and ", got " not in message:
        message += f", got {fault['input']!r}"
    if not name.endswith(_SECRET):
        message = _REST_OF_URL.sub("://***", message)
    return f"{name} (set in {place}): {message}"


def _expected(field: FieldInfo) -> str:
    """Return what a number, a switch or a choice must be, from its type and its bounds."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    if get_origin(field.annotation) is Literal:
        return f"{', '.join(kinds[:-1])} or {kinds[-1]}"
    kind = kinds[0] if kinds else field.annotation
    if kind is bool:
        return "true or false"
    bounds = {
        bound: value
        for bound in ("gt", "ge", "le")
        for limit in field.metadata
        if (value := getattr(limit, bound, None)) is not None
    }
    number = "a whole number" if kind is int else "a number"
    if "gt" in bounds:
        return f"{number} above {bounds['gt']:.12g}, at most {bounds['le']:.12g}"
    return f"{number} from {bounds['ge']:.12g} to {bounds['le']:.12g}"


def _without_tilde(path: Path) -> Path:
    # A .env file has no shell. Path.expanduser raises for an unknown user.
    return Path(os.path.expanduser(path))
