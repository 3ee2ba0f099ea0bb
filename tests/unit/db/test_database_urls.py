"""Database URLs: which are understood, and what is said of others without showing a password."""

import pytest

from db.engine import DatabaseUrlError, create_engine, parse_url, shown
from db.migrate import HEAD, require_current, upgrade_engine

SECRET = "hunter2"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_postgresql_urls_use_the_installed_driver(scheme):
    assert parse_url(f"{scheme}://me@host/name").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://me:{SECRET}@host/name",
        f"not a url {SECRET}",
        f"postgresql://me:{SECRET}@host:port/name",
        f"postgresql://me:p@{SECRET}@host/name",
        f"postgresql://me:p@{SECRET}/s@host/name",
        f"postgresql://me:p/s@{SECRET}@host/name",
        f"postgresql://me:p?s@{SECRET}@host:5432/name",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
def test_any_other_url_is_refused_without_repeating_it(url):
    with pytest.raises(DatabaseUrlError, match=r"expected|must name") as refused:
        parse_url(url)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("options", ["", f"?password={SECRET}", f"?passfile=/{SECRET}"])
def test_a_url_is_shown_without_its_password_in_any_position(options):
    url = shown(f"postgresql://me:{SECRET}@host/name{options}")
    assert SECRET not in url
    assert url.endswith("host/name")


@pytest.mark.parametrize("name", ["PGHOSTADDR", "PGSERVICE", "PGDATESTYLE", "PGTZ"])
def test_a_libpq_variable_that_overrides_the_url_is_refused_by_name(monkeypatch, name):
    monkeypatch.setenv(name, "anything")
    with pytest.raises(
        DatabaseUrlError, match=f"^the environment variable {name} would .*; unset {name}$"
    ):
        create_engine("postgresql://me@host/name")


@pytest.mark.parametrize("path", ["{home}/a/b/c.db", "~/a/b/c.db"], ids=["absolute", "tilde"])
def test_an_sqlite_file_is_created_with_its_parent_folders(tmp_path, monkeypatch, path):
    monkeypatch.setenv("HOME", str(tmp_path))
    engine = create_engine("sqlite:///" + path.format(home=tmp_path))
    try:
        require_current(engine)
        assert upgrade_engine(engine) == HEAD
    finally:
        engine.dispose()
    assert (tmp_path / "a" / "b" / "c.db").is_file()
