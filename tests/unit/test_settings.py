"""Settings: from the environment and .env, and what a person is told of a wrong one."""

from pathlib import Path

import pytest

from workers.settings import ABSOLUTE_ROOT, ConfigurationError, load_settings

SECRET = "hunter2"


@pytest.fixture
def load(monkeypatch):
    """The settings that these variables, without their prefix, make."""

    def load(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"CRATESORT_{name}", value)
        return load_settings()

    return load


@pytest.fixture
def complaint(load):
    """What a person is told of these variables: at most a line for each."""

    def complaint(**variables):
        with pytest.raises(ConfigurationError) as refused:
            load(**variables)
        message = str(refused.value)
        assert len(message.splitlines()) == len(variables)
        return message

    return complaint


# Library roots


@pytest.mark.parametrize(
    ("value", "roots"),
    [
        ("/library", {"library": "/library"}),
        ("packs=/mnt/packs", {"packs": "/mnt/packs"}),
        ("packs=/mnt/packs,main=/library", {"packs": "/mnt/packs", "main": "/library"}),
        (" packs = /mnt/packs , /library ,", {"packs": "/mnt/packs", "library": "/library"}),
        ("a=/one,a=/one", {"a": "/one"}),
        ("a=/with=sign", {"a": "/with=sign"}),
        ("2024.v1_x-y=/x", {"2024.v1_x-y": "/x"}),
        ("", {}),
        (",", {}),
    ],
)
def test_library_roots_are_named_folders(load, value, roots):
    assert load(LIBRARY_ROOTS=value).library_roots == {n: Path(f) for n, f in roots.items()}


def test_a_root_may_lie_in_the_users_home(load, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert load(LIBRARY_ROOTS="~/Samples").library_roots == {"library": Path("/home/me/Samples")}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a=relative", "'a' must be an absolute folder"),
        ("relative", "'library' must be an absolute folder"),
        ("a=", "'a' must be an absolute folder"),
        ("=/x", "a root's name is"),
        ("my packs=/x", "a root's name is"),
        ("-a=/x", "a root's name is"),
        ("a/b=/x", "a root's name is"),
        (f"{'n' * 65}=/x", "a root's name is"),
        ("a=/one,a=/other", "two roots are called 'a'"),
        ("/one,/other", "two roots are called 'library'"),
    ],
)
def test_a_root_that_makes_no_sense_is_refused_with_the_reason(complaint, value, reason):
    assert reason in complaint(LIBRARY_ROOTS=value)


def test_a_root_is_found_by_its_name(load):
    assert load(LIBRARY_ROOTS="a=/one,b=/other").root_path("b") == Path("/other")


def test_a_root_this_host_does_not_know_is_refused_with_what_to_add(load):
    with pytest.raises(ConfigurationError, match="add c=/its/folder to CRATESORT_LIBRARY_ROOTS"):
        load(LIBRARY_ROOTS="a=/one").root_path("c")


def test_absolute_paths_are_read_in_process_without_roots(load):
    assert load().root_path(ABSOLUTE_ROOT) == Path("/")


@pytest.mark.parametrize(
    "variables",
    [{"LIBRARY_ROOTS": "/library"}, {"BROKER_URL": "redis://localhost"}],
    ids=["roots", "broker"],
)
def test_absolute_paths_are_not_read_where_roots_are_expected(load, variables):
    with pytest.raises(ConfigurationError, match="without a library root"):
        load(**variables).root_path(ABSOLUTE_ROOT)


# Wrong values


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [("DATABSE_URL", "DATABASE_URL"), ("BATCHSIZE", "BATCH_SIZE"), ("ENGNE", "ENGINE")],
)
def test_a_misspelt_variable_is_refused_and_the_right_one_named(complaint, misspelt, meant):
    assert complaint(**{misspelt: "1"}) == (
        f"CRATESORT_{misspelt}: there is no such setting; did you mean CRATESORT_{meant}?"
    )


def test_a_variable_like_no_other_is_refused_with_where_to_look(complaint):
    assert ".env.example lists the settings" in complaint(XYZZY="1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCH_SIZE", "many"),
        ("BATCH_SIZE", "0"),
        ("BATCH_SIZE", "10001"),
        ("ENGINE", "pytorch"),
        ("VENDOR_LEVEL", "0"),
        ("WINDOW_BATCHES", "-1"),
        ("TIME_LIMIT_SECONDS", "0"),
        ("TIME_LIMIT_SECONDS", "inf"),
        ("LEASE_MARGIN_SECONDS", "nan"),
        ("STALE_SECONDS", "-3"),
        ("SWEEP_SECONDS", "inf"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_bad_value_is_one_line_with_the_variable_and_the_value(complaint, name, value):
    message = complaint(**{name: value})
    assert message.startswith(f"CRATESORT_{name}: ")
    assert f"got {value!r}" in message


def test_every_bad_value_is_said_at_once(complaint):
    message = complaint(BATCH_SIZE="many", ENGINE="pytorch")
    assert "CRATESORT_BATCH_SIZE" in message
    assert "CRATESORT_ENGINE" in message


@pytest.mark.parametrize("scheme", ["amqp", "http", "rediss+tls", ""])
def test_a_broker_other_than_redis_is_refused_without_its_password(complaint, scheme):
    message = complaint(BROKER_URL=f"{scheme}://user:{SECRET}@host")
    assert "expected a Redis URL" in message
    assert SECRET not in message


def test_passwords_are_not_printed_with_the_settings(load):
    settings = load(
        BROKER_URL=f"redis://:{SECRET}@host", DATABASE_URL=f"postgresql://me:{SECRET}@host/name"
    )
    assert SECRET not in f"{settings!r} {settings}"
    assert SECRET in settings.database


# Defaults and .env


def test_without_a_broker_work_is_done_in_process(load):
    assert load().in_process
    assert not load(BROKER_URL="redis://localhost").in_process


def test_an_empty_variable_is_an_unset_one(load):
    settings = load(BROKER_URL="", DATABASE_URL="", BATCH_SIZE="", VENDOR_LEVEL="")
    assert settings.in_process
    assert settings.batch_size == 256
    assert settings.vendor_level is None


def test_the_database_lies_in_the_data_folder_when_none_is_named(load):
    assert load(DATA_FOLDER="/state").database == "sqlite:////state/cratesort.db"


def test_a_data_folder_may_lie_in_the_users_home(load, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert load(DATA_FOLDER="~/state").data_folder == Path("/home/me/state")


def test_a_log_level_may_be_written_small(load):
    assert load(LOG_LEVEL="debug").log_level == "DEBUG"


def test_a_lease_outlasts_the_time_limit(load):
    settings = load(TIME_LIMIT_SECONDS="10", LEASE_MARGIN_SECONDS="2.5")
    assert settings.lease_seconds == 12.5


def test_settings_come_from_a_env_file_too_and_the_environment_wins(load, tmp_path):
    (tmp_path / ".env").write_text("CRATESORT_BATCH_SIZE=7\nCRATESORT_VENDOR_LEVEL=2\nOTHER=x\n")
    settings = load(BATCH_SIZE="9")
    assert (settings.batch_size, settings.vendor_level) == (9, 2)


def test_a_misspelt_name_in_a_env_file_is_refused_too(load, tmp_path):
    (tmp_path / ".env").write_text("CRATESORT_DATABSE_URL=postgresql://localhost/x\n")
    with pytest.raises(ConfigurationError, match="did you mean CRATESORT_DATABASE_URL"):
        load()


def test_a_env_file_that_is_not_text_is_said_to_be_the_trouble(load, tmp_path):
    (tmp_path / ".env").write_bytes(b"NAME=caf\xe9\n")
    with pytest.raises(ConfigurationError, match=r"\.env here cannot be read"):
        load()
