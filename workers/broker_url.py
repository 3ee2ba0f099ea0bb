"""Parses the URL of Redis for both Celery and redis-py, which spell the same options differently.

redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]
rediss://...[?ssl_cert_reqs=required&ssl_ca_certs=FILE...]
redis+socket:///PATH[?virtual_host=DATABASE], or unix:///PATH[?db=DATABASE]
sentinel://[[USER]:PASSWORD@]HOST[:PORT][;sentinel://HOST...][/DATABASE]?master_name=NAME
"""

import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

if TYPE_CHECKING:
    from redis import Redis

_EXPECTED: Final = "expected a Redis URL like redis://:password@host:6379/0"
_ENCODE: Final = "write @ / # ? ; % in a password as %40 %2F %23 %3F %3B %25"

_DATABASE: Final = {"db", "virtual_host"}
_TLS: Final = {
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_password",
}
#: The parameters of a URL, by its scheme.
_PARAMETERS: Final = {
    "redis": _DATABASE,
    "rediss": _DATABASE | _TLS,
    "redis+socket": {*_DATABASE, "username", "password"},
    "sentinel": {*_DATABASE, "master_name", "sentinel_username", "sentinel_password"},
}
#: Options of each connection: a lost peer is detected in about 10 s, both idle and with
#: unacknowledged data. Not every operating system has all of them.
TCP_OPTIONS: Final = {
    getattr(socket, name): value
    for name, value in {
        "TCP_KEEPIDLE": 4,
        "TCP_KEEPINTVL": 2,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 10_000,  # milliseconds
    }.items()
    if hasattr(socket, name)
}
_YES_AND_NO: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """Where Redis is, and how to log in there.

    - `hosts`: one server, several sentinels, or none where `path` is a socket.
    - `tls`: options of redis-py, None without TLS.
    - `sentinel_login`: credentials of the sentinels themselves.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    path: str
    database: int
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    master_name: str
    tls: dict[str, Any] | None = field(repr=False)
    sentinel_login: dict[str, str] = field(repr=False)

    def client(self, *, answer_seconds: float) -> "Redis":
        """Return a client that neither retries nor waits longer than this for an answer."""
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
        from redis.sentinel import Sentinel

        patience: dict[str, Any] = {
            "socket_timeout": answer_seconds,
            "socket_connect_timeout": answer_seconds,
            "socket_keepalive": True,
            "socket_keepalive_options": TCP_OPTIONS,
            # The caller decides what to do when Redis is unreachable.
            "retry": Retry(NoBackoff(), 0),
        }
        login: dict[str, Any] = {
            "db": self.database,
            "username": self.username,
            "password": self.password,
        }
        if self.scheme == "sentinel":
            sentinels: Any = Sentinel(  # type: ignore[no-untyped-call]
                self.hosts, sentinel_kwargs={**patience, **self.sentinel_login}
            )
            master: Redis = sentinels.master_for(self.master_name, **patience, **login)
            return master
        if self.path:
            return Redis(unix_socket_path=self.path, **patience, **login)
        ((host, port),) = self.hosts
        tls = {} if self.tls is None else {"ssl": True, **self.tls}
        return Redis(host, port, **patience, **login, **tls)

    def celery_settings(self, transport_options: dict[str, Any]) -> dict[str, Any]:
        """Return Celery's settings for this broker, including these transport options."""
        username, password = quote(self.username or "", ""), quote(self.password or "", "")
        login = f"{username}:{password}@" if username or password else ""
        if self.path:
            url = f"redis+socket://{login}{quote(self.path)}?virtual_host={self.database}"
        else:
            # Each URL has the login: Celery uses the one in the URL of the sentinel it tries.
            url = ";".join(
                f"{self.scheme}://{login}{f'[{host}]' if ':' in host else host}:{port}"
                f"/{self.database}"
                for host, port in self.hosts
            )
        options = dict(transport_options)
        if self.scheme == "sentinel":
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            patience = {k: v for k, v in options.items() if k.startswith("socket_")}
            patience["retry"] = Retry(NoBackoff(), 0)  # redis-py's own takes many seconds
            options["master_name"] = self.master_name
            options["sentinel_kwargs"] = {**patience, **self.sentinel_login}
        return {
            "broker_url": url,
            "broker_use_ssl": self.tls,
            "broker_transport_options": options,
        }


def parse_broker_url(url: str) -> BrokerUrl:
    """Parse a URL, or raise ValueError with one line that does not repeat the URL."""
    scheme = url.partition("://")[0].lower()
    scheme = "redis+socket" if scheme == "unix" else scheme
    _require(
        "://" in url and scheme in _PARAMETERS,
        f"{_EXPECTED}, or one of rediss://, redis+socket://, unix:// or sentinel://",
    )
    servers = [part for part in url.split(";") if part] if scheme == "sentinel" else [url]
    try:
        parts = [urlsplit(part if "://" in part else f"sentinel://{part}") for part in servers]
        default_port = 26379 if scheme == "sentinel" else 6379
        hosts = tuple((part.hostname or "localhost", part.port or default_port) for part in parts)
    except ValueError:
        raise ValueError(f"{_EXPECTED}, with a number for a port; {_ENCODE}") from None
    _require(all(part.port != 0 for part in parts), f"{_EXPECTED}, with a port that is not 0")
    _require(not any(part.fragment for part in parts), f"{_EXPECTED}; {_ENCODE}")
    query = {
        name: value
        for part in parts
        for name, value in parse_qsl(part.query, keep_blank_values=True)
    }
    known = ", ".join(sorted(_PARAMETERS[scheme]))
    _require(
        query.keys() <= _PARAMETERS[scheme],
        f"expected no parameter of a {scheme}:// URL but {known}; {_ENCODE}",
    )
    path = ""
    if scheme == "redis+socket":
        path = unquote(parts[0].path)
        _require(
            path.strip("/") and not parts[0].hostname,
            "expected redis+socket:///run/redis.sock, with three slashes and a path",
        )
    elif scheme == "sentinel":
        _require(
            parts and all(part.scheme == scheme and part.hostname for part in parts),
            "expected sentinel://host:26379;sentinel://host:26379?master_name=...",
        )
        _require(
            query.get("master_name"),
            "expected the name of the master after the sentinels, as in "
            "sentinel://host:26379/0?master_name=mymaster",
        )
    databases = [query.get("virtual_host", ""), query.get("db", "")]
    databases += [] if path else [part.path for part in parts]
    numbers = [number for text in databases if (number := text.strip("/"))]
    _require(
        all(number.isdecimal() for number in numbers), f"{_EXPECTED}, with a number for a database"
    )
    users = [part.username for part in parts if part.username]
    passwords = [part.password for part in parts if part.password]
    login = {name.removeprefix("sentinel_"): query[name] for name in query if "sentinel" in name}
    return BrokerUrl(
        scheme=scheme,
        hosts=() if path else hosts,
        path=path,
        database=int(numbers[0]) if numbers else 0,
        username=unquote(users[0]) if users else query.get("username"),
        password=unquote(passwords[0]) if passwords else query.get("password"),
        master_name=query.get("master_name", ""),
        tls=_tls(query) if scheme == "rediss" else None,
        sentinel_login=login,
    )


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _tls(query: dict[str, str]) -> dict[str, Any]:
    """Return the options of TLS as redis-py spells them; certificates are checked by default."""
    options: dict[str, Any] = {name: query[name] for name in _TLS if name in query}
    for name in ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"):
        _require(os.path.exists(options.get(name, "/")), f"the file of {name} does not exist")
    # Celery's spelling is CERT_REQUIRED.
    required = options.get("ssl_cert_reqs", "required").lower()
    options["ssl_cert_reqs"] = required.removeprefix("ssl.").removeprefix("cert_")
    _require(
        options["ssl_cert_reqs"] in ("required", "optional", "none"),
        "expected ssl_cert_reqs to be required, optional or none (or CERT_REQUIRED, ...)",
    )
    if "ssl_check_hostname" in options:
        check = _YES_AND_NO.get(options["ssl_check_hostname"].lower())
        _require(check is not None, "expected ssl_check_hostname to be true or false")
        options["ssl_check_hostname"] = check
    return options
