"""Checks before a service starts, so that a wrong setting is reported in one line."""

import fcntl
import tempfile

from classifier.errors import CratesortError
from cli.console.exit_codes import NO_SUCH_DATABASE


class NoBrokerError(CratesortError):
    """A service that needs Redis was started without one being configured."""


class DataFolderError(CratesortError):
    """The data folder cannot be written, so a worker cannot keep its crash markers."""


def broker_url_for(service: str) -> str:
    """Return the URL of Redis, with its password; raise NoBrokerError if none is configured."""
    from workers.settings import load_settings

    url = load_settings().broker_url
    if url is None:
        raise NoBrokerError(
            f"{service} needs Redis: set CRATESORT_BROKER_URL to redis://:password@host:6379/0. "
            "Without Redis, `cratesort ingest` classifies in its own process and needs no service."
        )
    return url.get_secret_value()


def require_broker(service: str) -> None:
    """Check that Redis is configured; if it answers, also the password and the database."""
    import redis.exceptions

    from workers.broker_url import parse_broker_url

    url = broker_url_for(service)
    try:
        with parse_broker_url(url).client(answer_seconds=2) as client:
            client.ping()
    except redis.exceptions.AuthenticationError:
        raise
    except redis.exceptions.RedisError as error:
        if NO_SUCH_DATABASE in str(error):
            raise
        # Redis may start after its workers; Celery waits for it.


def require_data_folder() -> None:
    """Check that a worker's children can write their crash markers."""
    from workers.settings import load_settings

    folder = load_settings().running_folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            fcntl.flock(file, fcntl.LOCK_EX)  # some network mounts lack file locks
    except OSError as error:
        raise DataFolderError(
            f"cannot write to the data folder ({folder}: {error.strerror}), where workers record "
            "which file they are reading: set CRATESORT_DATA_FOLDER to a writable folder"
        ) from error
