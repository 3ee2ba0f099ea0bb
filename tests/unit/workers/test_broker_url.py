"""The URL of Redis: what each form means, and what is refused in one line."""

import re

import pytest

from workers.broker_url import parse_broker_url


@pytest.mark.parametrize(
    ("url", "hosts", "database"),
    [
        ("redis:///2", (("localhost", 6379),), 2),
        ("redis://[::1]:7000", (("::1", 7000),), 0),
        ("rediss://host?db=3", (("host", 6379),), 3),
        ("sentinel://a;b:7/1?master_name=m", (("a", 26379), ("b", 7)), 1),
        ("redis+socket:///run/r.sock?virtual_host=4", (), 4),
        ("unix:///run/r.sock?db=4", (), 4),
    ],
)
def test_hosts_and_database(url, hosts, database):
    broker = parse_broker_url(url)
    assert (broker.hosts, broker.database) == (hosts, database)


@pytest.mark.parametrize("spelling", ["CERT_NONE", "none", "ssl.CERT_NONE"])
def test_celery_spellings_of_certificate_options_are_accepted(spelling):
    broker = parse_broker_url(f"rediss://host?ssl_cert_reqs={spelling}")
    assert broker.tls == {"ssl_cert_reqs": "none"}


def test_certificates_are_verified_unless_the_url_disables_it():
    assert parse_broker_url("rediss://host").tls == {"ssl_cert_reqs": "required"}


def test_a_password_with_a_semicolon_is_not_split_into_urls():
    broker = parse_broker_url("redis://:a;b@host")
    assert broker.password == "a;b"
    assert broker.celery_settings({})["broker_url"] == "redis://:a%3Bb@host:6379/0"


def test_every_sentinel_gets_the_login_for_failover_in_celery():
    broker = parse_broker_url("sentinel://:pw@a;sentinel://b/2?master_name=m")
    settings = broker.celery_settings({"socket_timeout": 5})
    assert settings["broker_url"] == "sentinel://:pw@a:26379/2;sentinel://:pw@b:26379/2"
    assert settings["broker_transport_options"]["master_name"] == "m"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("amqp://host", "expected a Redis URL"),
        ("redis://a;redis://b", "a number for a database"),
        ("redis://secret:0/0", "a port that is not 0"),
        ("redis://:a#secret@host", "%40 %2F %23"),
        ("redis://user:1?secret@host", "%40 %2F %23"),
        ("redis://:secret@host/first", "a number for a database"),
        ("redis://:p@secret/s@host:6379/0", "a number for a database"),
        ("redis+socket://run/secret.sock", "three slashes"),
        ("sentinel://secret:26379/0", "?master_name=mymaster"),
        ("sentinel://secret;redis://host?master_name=m", "expected sentinel://"),
        ("rediss://secret?ssl_cert_reqs=maybe", "required, optional or none"),
        (
            "rediss://secret?ssl_ca_certs=/nowhere/ca.pem",
            "the file of ssl_ca_certs does not exist",
        ),
        ("rediss://secret?ssl_check_hostname=maybe", "true or false"),
        (
            "redis://secret?ssl_cert_reqs=none",
            "expected no parameter of a redis:// URL but db",
        ),
    ],
)
def test_a_url_that_one_of_the_clients_cannot_use_is_refused(url, message):
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        parse_broker_url(url)
    assert len(str(refused.value).splitlines()) == 1
    assert "secret" not in str(refused.value)
