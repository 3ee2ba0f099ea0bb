"""Conditions of a run's PostgreSQL, set by SQL from outside: a full disk, another time.

Its clock replaces `pg_catalog`'s for queries that do not name that schema; a full disk is an error
with PostgreSQL's code for it.
"""

from typing import Final

import psycopg

from tests.support.servers import PostgresServer

_WRITTEN: Final = ("ingests", "batches", "sounds", "batch_measures", "label_history", "promotions")

_INSTALL: Final = """
CREATE TABLE public.chaos_conditions (is_full boolean NOT NULL, ahead interval NOT NULL);
INSERT INTO public.chaos_conditions VALUES (false, '0');
CREATE FUNCTION public.chaos_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT is_full FROM public.chaos_conditions) THEN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$
    SELECT pg_catalog.clock_timestamp() + ahead FROM public.chaos_conditions
$$;
ALTER DATABASE {database} SET search_path = public, pg_catalog;
"""
_REFUSE: Final = """
CREATE TRIGGER chaos_refuse BEFORE INSERT OR UPDATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION public.chaos_refuse();
"""


class Conditions:
    """The conditions of one database; a server that is away has none, and raises."""

    def __init__(self, server: PostgresServer, database: str) -> None:
        self._url = server.database_url(database).replace("+psycopg", "")
        self._execute(
            _INSTALL.format(database=database)
            + "".join(_REFUSE.format(table=table) for table in _WRITTEN)
        )

    def be_full(self, full: bool) -> None:
        """Refuse whatever would need room, or take it again."""
        self._execute("UPDATE public.chaos_conditions SET is_full = %s", full)

    def set_clock(self, ahead_seconds: float) -> None:
        """Set the clock, so far ahead of the true one."""
        ahead = "UPDATE public.chaos_conditions SET ahead = make_interval(secs => %s)"
        self._execute(ahead, ahead_seconds)

    def be_read_only(self, read_only: bool) -> None:
        """Be as a standby is, for the sessions there are and those that come."""
        self._execute(f"ALTER SYSTEM SET default_transaction_read_only = {read_only}")
        self._execute("SELECT pg_reload_conf()")

    def _execute(self, statement: str, *values: object) -> None:
        # If it were read-only itself, it could not be made writable again.
        options = "-c default_transaction_read_only=off -c statement_timeout=20s"
        with psycopg.connect(self._url, autocommit=True, options=options) as connection:
            connection.execute(statement, values or None)  # type: ignore[arg-type]
