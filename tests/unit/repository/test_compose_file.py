"""The compose file, as far as it can be judged without an engine (`make compose-test` has one)."""

import re

import pytest
import yaml

from tests.support.places import REPOSITORY
from workers.settings import PREFIX, Settings

FILE = REPOSITORY / "docker-compose.yml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("cratesort-")}


@pytest.fixture(params=sorted(SERVICES))
def service(request):
    return SERVICES[request.param]


@pytest.fixture(params=sorted(OURS))
def ours(request):
    return SERVICES[request.param]


def test_all_services_of_a_fleet_are_defined():
    assert {"migrate", "worker", "trainer", "beat", "intake", "metrics", "flower"} == OURS
    assert set(SERVICES) - OURS == {"redis", "postgres", "roles", "prometheus", "grafana"}


def test_a_worker_service_can_be_scaled(service):
    assert "container_name" not in service
    assert "ports" not in SERVICES["worker"]


def test_a_service_has_no_unneeded_privileges(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit"} <= set(service)


def test_the_log_of_a_service_is_bounded(service):
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


def test_published_ports_are_bound_to_localhost(service):
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_only_services_with_a_web_page_are_on_an_external_network():
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    outside = {name for name, service in SERVICES.items() if service["networks"] != ["inside"]}
    assert outside == {"flower", "prometheus", "grafana"}


def test_a_service_runs_as_an_unprivileged_user():
    # Ours by the image, the others by their own users.
    users = re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)
    assert users == ["10001:10001"]
    assert (SERVICES["redis"]["user"], SERVICES["postgres"]["user"]) == ("redis", "postgres")


def test_the_tables_are_created_before_any_cratesort_service_starts(ours):
    if ours is not SERVICES["migrate"]:
        assert ours["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_one_off_services_are_dependencies_of_others():
    # Else `docker compose up --wait` takes its end for a failure
    conditions = {
        (name, one["condition"])
        for service in SERVICES.values()
        for name, one in service.get("depends_on", {}).items()
    }
    ends = {name for name, service in SERVICES.items() if service["restart"] == "no"}
    assert ends == {"roles", "migrate"}
    assert {(name, "service_completed_successfully") for name in ends} <= conditions


def test_a_busy_host_has_time_before_a_container_counts_as_unhealthy():
    # `docker compose up --wait` fails at the first one
    own = [service["healthcheck"] for service in SERVICES.values() if "healthcheck" in service]
    in_the_image = re.search(r"^HEALTHCHECK .*--start-period=(\d+)s", DOCKERFILE, re.MULTILINE)
    assert int(in_the_image[1]) >= 180
    for check in own:
        assert "start_period" in check or int(check["retries"]) * int(check["interval"][:-1]) >= 60


def test_only_the_service_that_creates_the_role_logs_in_as_a_superuser():
    given = {
        name
        for name, service in SERVICES.items()
        if "${POSTGRES_PASSWORD" in str(service) and name != "postgres"
    }
    assert given == {"roles"}


def test_the_library_is_mounted_read_only(service):
    mounts = [mount for mount in service.get("volumes", []) if "/library" in mount]
    assert all(mount.endswith(":/library:ro") for mount in mounts)


def test_no_password_has_a_default():
    passwords = re.findall(r"\$\{(\w+_PASSWORD)([^}]*)\}", FILE.read_text())
    assert {name for name, _ in passwords} == {
        f"{name}_PASSWORD"
        for name in ("REDIS", "INBOX", "POSTGRES", "DATABASE", "FLOWER", "GRAFANA")
    }
    for name, rest in passwords:
        if name == "INBOX_PASSWORD":  # without it its user cannot log in
            assert rest in (":+>", ":-resetpass")
            continue
        says_what_to_do = rest.startswith(":?write ") and f"{name}=... into .env" in rest
        # Without a word where it was asked for above, or the line could not be reached.
        assert says_what_to_do or (not rest and name == "REDIS_PASSWORD")


def test_a_worker_has_as_much_time_to_stop_as_its_batch_may_take():
    limit = Settings.model_fields["time_limit_seconds"].default
    for name in ("worker", "trainer"):
        grace = re.search(r"(\d+)s", SERVICES[name]["stop_grace_period"])
        assert int(grace[1]) >= limit + 10


def test_every_setting_of_a_fleet_reaches_the_containers():
    given = {name for name in SERVICES["flower"]["environment"] if name.startswith(PREFIX)}
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    # The images' own: where state lies, and which engine they have.
    assert settings - given == {f"{PREFIX}DATA_FOLDER", f"{PREFIX}ENGINE"}
    assert given <= settings


def test_every_variable_of_the_compose_file_is_in_env_example():
    asked = set(re.findall(r"\$\{([A-Z_]+)", FILE.read_text())) - {"TAG"}
    example = (REPOSITORY / ".env.example").read_text()
    ports = {"FLOWER_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT", "TRAINER_CPUS"}
    assert {name for name in asked - ports if not re.search(rf"^#?{name}=", example, re.M)} == set()


def test_files_mounted_from_the_clone_exist(service):
    for mount in service.get("volumes", []):
        source = mount.partition(":")[0]
        if source.startswith("./"):
            assert (REPOSITORY / source).exists()
