"""Settings from the environment and a .env file, and what a person is told about wrong ones."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from workers.settings import ConfigurationError, Settings, load_settings

#: Stands in every URL below, and must stand in no message.
PASSWORD = "hush-hush"


@pytest.fixture
def load(monkeypatch):
    """Read the settings from these variables, named without their prefix, and a .env file."""

    def load(env_file="", **variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"CRATESORT_{name}", value)
        if env_file:
            Path(".env").write_text(env_file)
        return load_settings()

    return load


@pytest.fixture
def refusal(load):
    """What is said about variables and a .env file that are refused."""

    def refusal(env_file="", **variables):
        with pytest.raises(ConfigurationError) as refused:
            load(env_file, **variables)
        return str(refused.value)

    return refusal


# Where they come from


def test_a_setting_comes_from_the_environment(load):
    assert load(BATCH_SIZE="7").batch_size == 7


def test_a_setting_comes_from_a_dotenv_file_in_the_current_folder(load):
    assert load("CRATESORT_BATCH_SIZE=7\n").batch_size == 7


def test_the_environment_wins_over_the_dotenv_file(load):
    assert load("CRATESORT_BATCH_SIZE=7\n", BATCH_SIZE="8").batch_size == 8


def test_an_empty_variable_counts_as_unset(load):
    assert load(BROKER_URL="", LIBRARY_ROOTS="", BATCH_SIZE="", VENDOR_LEVEL="") == load_settings()


def test_lines_of_other_programs_in_the_dotenv_file_are_ignored(load):
    assert load("OTHER_PROGRAM=x\nCRATESORT_BATCH_SIZE=7\n").batch_size == 7


def test_a_log_level_may_be_written_in_lower_case(load):
    assert load(LOG_LEVEL="debug").log_level == "DEBUG"


# Misspelt names and bad values


def test_a_misspelt_variable_is_refused_with_a_suggestion(refusal):
    expected = (
        "CRATESORT_BROKER_URI (set in the environment): there is no such setting; "
        "did you mean CRATESORT_BROKER_URL?"
    )
    assert refusal(BROKER_URI=f"redis://:{PASSWORD}@host") == expected


def test_a_misspelt_line_of_the_dotenv_file_is_refused_too(refusal):
    expected = (
        f"CRATESORT_BATCHSIZE (set in {Path.cwd()}/.env): there is no such setting; "
        "did you mean CRATESORT_BATCH_SIZE?"
    )
    assert refusal("CRATESORT_BATCHSIZE=7\n") == expected


def test_an_unknown_variable_without_a_similar_name_is_refused_with_the_list_to_read(refusal):
    expected = "there is no such setting; .env.example lists the settings"
    assert refusal(ZZZ="1") == f"CRATESORT_ZZZ (set in the environment): {expected}"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("BATCH_SIZE", "many", "a whole number from 1 to 10000"),
        ("BATCH_SIZE", "0", "a whole number from 1 to 10000"),
        ("BATCH_SIZE", "2.5", "a whole number from 1 to 10000"),
        ("ENGINE", "tensorflow", "onnx or keras"),
        ("VENDOR_LEVEL", "0", "a whole number from 1 to 16"),
        ("WINDOW_BATCHES", "-1", "a whole number from 1 to 100000"),
        ("TIME_LIMIT_SECONDS", "0", "a number above 0, at most 86400"),
        ("TIME_LIMIT_SECONDS", "inf", "a number above 0, at most 86400"),
        ("LEASE_MARGIN_SECONDS", "nan", "a number above 0, at most 86400"),
        ("TRAINING_LEASE_SECONDS", "4", "a number from 5 to 86400"),
        ("FOLDER_WORDS", "perhaps", "true or false"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
    ],
)
def test_a_bad_value_is_one_line_with_what_was_expected_and_what_came(
    refusal, variable, value, expected
):
    place = f"CRATESORT_{variable} (set in the environment)"
    assert refusal(**{variable: value}) == f"{place}: expected {expected}, got {value!r}"


def test_a_bad_value_of_the_dotenv_file_names_that_file(refusal):
    assert refusal("CRATESORT_BATCH_SIZE=many\n") == (
        f"CRATESORT_BATCH_SIZE (set in {Path.cwd()}/.env): "
        "expected a whole number from 1 to 10000, got 'many'"
    )


def test_all_bad_and_misspelt_settings_are_reported_at_once(refusal):
    heading, *lines = refusal(
        "CRATESORT_BATCHSIZE=7\n", BATCH_SIZE="0", ENGINE="x", DATABASE_URL=PASSWORD, LEVEL="1"
    ).splitlines()
    assert heading == "5 settings are wrong:"
    assert [line.split()[0].removeprefix("CRATESORT_") for line in lines] == [
        "LEVEL",
        "BATCHSIZE",
        "DATABASE_URL",
        "BATCH_SIZE",
        "ENGINE",
    ]
    assert PASSWORD not in "".join(lines)


def test_control_characters_of_a_value_are_escaped(refusal):
    message = refusal(BATCH_SIZE="7\nall is well\x1b[2J")
    assert message.isprintable()


def test_a_dotenv_file_that_is_not_text_is_refused_by_name(refusal):
    Path(".env").write_bytes(b"# gr\xfc\xdfe\n")
    assert refusal().startswith(f"cannot read the settings in {Path.cwd()}/.env: ")


def test_control_characters_of_a_name_and_of_the_folder_are_escaped(refusal, tmp_path, monkeypatch):
    folder = tmp_path / "here\nERROR forged"
    folder.mkdir()
    monkeypatch.chdir(folder)
    message = refusal("'CRATESORT_A\nERROR forged'=2\n")
    assert message.startswith(
        rf"CRATESORT_A\x0aERROR FORGED (set in {tmp_path}/here\x0aERROR forged/.env): there is no"
    )


def test_settings_are_read_in_a_folder_that_was_deleted(load, refusal, tmp_path, monkeypatch):
    folder = tmp_path / "deleted"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert load(BATCH_SIZE="7").batch_size == 7
    assert refusal(BATCH_SIZE="0").startswith("CRATESORT_BATCH_SIZE (set in the environment): ")
    with monkeypatch.context() as patched:
        patched.setattr("workers.settings.DotEnvSettingsSource", _unreadable)
        assert refusal().startswith("cannot read the settings in .env: ")


def _unreadable(_settings):
    raise PermissionError("Permission denied")


@pytest.mark.parametrize(
    ("variable", "value", "shown"),
    [
        ("LIBRARY_ROOTS", f"a=postgresql://u:{PASSWORD}@h/d", "'postgresql://***'"),
        ("LIBRARY_ROOTS", f"postgresql://u:{PASSWORD}@h/d=", "'postgresql://***'"),
        ("LIBRARY_ROOTS", f"a=postgresql://u:{PASSWORD},x@h/d", "'postgresql://***'"),
        ("BATCH_SIZE", f"redis://:it's{PASSWORD}@h", '"redis://***"'),
        ("LOG_LEVEL", f"redis://:{PASSWORD}@h", "'REDIS://***'"),
        ("TRAINING_SCHEDULE", f"redis://:{PASSWORD}@h", "'redis://***'"),
    ],
)
def test_a_url_in_another_setting_is_shown_without_its_password(refusal, variable, value, shown):
    message = refusal(**{variable: value})
    assert message.endswith(f", got {shown}")
    assert PASSWORD not in message


@pytest.mark.parametrize(
    "url",
    [
        f"amqp://user:{PASSWORD}@host//",
        f"host:6379/{PASSWORD}",
        PASSWORD,
        f"redis://:{PASSWORD}@host:abc/0",
        f"redis://:{PASSWORD}@host:99999/0",
        f"redis://:{PASSWORD}@host/first",
        f"redis://:{PASSWORD}@[::1/0",
        "sentinel://",
    ],
)
def test_a_broker_that_is_not_redis_is_refused_without_showing_its_url(refusal, url):
    message = refusal(BROKER_URL=url)
    assert message.startswith("CRATESORT_BROKER_URL (set in the environment): expected ")
    assert PASSWORD not in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:secret@host:6379/0",
        "redis:///1",
        "rediss://me:secret@host:6380/0?ssl_cert_reqs=required",
        "redis+socket:///run/redis.sock",
        "sentinel://:secret@one:26379;sentinel://two:26379/0?master_name=mymaster",
    ],
)
def test_redis_urls_are_accepted(load, url):
    assert load(BROKER_URL=url).broker_url.get_secret_value() == url


def test_passwords_are_not_shown_when_settings_are(load):
    settings = load(
        BROKER_URL=f"redis://:{PASSWORD}@host/0", DATABASE_URL=f"postgresql://me:{PASSWORD}@host/x"
    )
    assert settings.database.endswith(f":{PASSWORD}@host/x")  # known from here on
    assert PASSWORD not in repr(settings) + str(settings) + settings.model_dump_json()


def test_settings_are_immutable():
    with pytest.raises(ValidationError):
        Settings().batch_size = 7


# Library roots


@pytest.mark.parametrize(
    ("text", "roots"),
    [
        ("/sounds", {"library": Path("/sounds")}),
        ("packs=/mnt/packs", {"packs": Path("/mnt/packs")}),
        (
            "packs=/mnt/packs,main=/library",
            {"packs": Path("/mnt/packs"), "main": Path("/library")},
        ),
        (" a = /x , /y ,, ", {"a": Path("/x"), "library": Path("/y")}),
        ("a=/x,a=/x", {"a": Path("/x")}),
        ("a=/with = sign", {"a": Path("/with = sign")}),
        ("a.b-c_9=/x", {"a.b-c_9": Path("/x")}),
    ],
)
def test_library_roots_map_names_to_folders(load, text, roots):
    assert load(LIBRARY_ROOTS=text).library_roots == roots


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sounds", "an absolute folder for the library root 'library', got 'sounds'"),
        ("a=", "an absolute folder for the library root 'a', got ''"),
        ("a=~nobody-of-this-name/x", "an absolute folder for the library root 'a', got '~nobody"),
        ("=/x", "the name of a library root to have at most 64 letters, digits and . _ -, got ''"),
        ("my packs=/x", "the name of a library root to have at most 64 letters"),
        (f"{'n' * 65}=/x", "the name of a library root to have at most 64 letters"),
        ("a=/x,a=/y", "one folder for the library root 'a', got '/x' and '/y'"),
        ("/x,/y", "one folder for the library root 'library', got '/x' and '/y'"),
    ],
)
def test_invalid_library_roots_are_refused_with_the_reason(refusal, text, reason):
    place = "CRATESORT_LIBRARY_ROOTS (set in the environment)"
    assert refusal(LIBRARY_ROOTS=text).startswith(f"{place}: expected {reason}")


def test_a_tilde_is_expanded_without_a_shell(load, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    settings = load("CRATESORT_LIBRARY_ROOTS=a=~/Samples\nCRATESORT_DATA_FOLDER=~/cratesort\n")
    assert settings.library_roots == {"a": Path("/home/me/Samples")}
    assert settings.data_folder == Path("/home/me/cratesort")


# What follows from them


def test_without_a_broker_work_runs_in_process():
    assert Settings().in_process
    assert not Settings(broker_url=SecretStr("redis://host")).in_process


def test_the_default_database_is_a_file_in_the_data_folder(load):
    assert load(DATA_FOLDER="/data").database == "sqlite:////data/cratesort.db"


def test_a_lease_outlasts_the_time_limit_by_its_margin(load):
    assert load(TIME_LIMIT_SECONDS="10", LEASE_MARGIN_SECONDS="2.5").lease_seconds == 12.5
