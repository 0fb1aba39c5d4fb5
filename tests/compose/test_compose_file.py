"""What holds for every container of compose.yaml, and what the Dockerfile may ask for; needs no engine."""

import importlib
import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.make_secrets import make_secrets
from launcher.services import SERVICES, installed
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"logins", "migrate"}
PUBLISHED = {"gateway", "monitor", "mailpit", "jaeger", "prometheus", "grafana"}
DATA = {"redis", "nats", "postgres"}

each_container = pytest.mark.parametrize("name", sorted(CONTAINERS))
each_service = pytest.mark.parametrize("name", [service.name for service in SERVICES])


@pytest.mark.skipif(
    shutil.which("docker") is None, reason="there is no docker here; the tests below look, too"
)
def test_docker_compose_takes_the_file() -> None:
    version = ("docker", "compose", "version")
    if subprocess.run(version, capture_output=True, check=False).returncode:
        pytest.skip("docker has no compose here; the tests below look, too")
    for files in (["compose.yaml"], ["compose.yaml", "deploy/lab/compose.yaml"]):
        chosen = [part for file in files for part in ("-f", file)]
        command = ("docker", "compose", "--profile", "*", *chosen, "config", "--quiet")
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")


@each_container
def test_a_container_can_do_no_more_than_it_must(name: str) -> None:
    container = CONTAINERS[name]

    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in container
    assert container["init"] is True
    assert container["deploy"]["resources"]["limits"].keys() == {"memory", "pids"}
    assert container["logging"]["options"].keys() == {"max-size", "max-file"}


@each_container
def test_a_container_is_started_again_and_says_whether_it_is_healthy(name: str) -> None:
    container = CONTAINERS[name]

    if name in ONCE:
        assert (container["restart"], "healthcheck" in container) == ("no", False)
    else:
        assert (container["restart"], "test" in container["healthcheck"]) == ("unless-stopped", True)


@each_container
def test_a_container_waits_until_what_it_needs_is_there(name: str) -> None:
    for needed, how in CONTAINERS[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if needed in ONCE else "service_healthy"
        assert how["condition"] == wanted, needed


@each_container
def test_an_image_has_a_variable_that_replaces_it(name: str) -> None:
    assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[^}]+:[^}]+\}", CONTAINERS[name]["image"])


@each_container
def test_a_port_is_open_to_this_machine_alone_unless_somebody_says_otherwise(name: str) -> None:
    ports: list[str] = CONTAINERS[name].get("ports", [])

    assert bool(ports) == (name in PUBLISHED)
    assert all(port.startswith("${BIND:-127.0.0.1}:${") for port in ports)
    if name in DATA:
        assert CONTAINERS[name]["networks"] == ["back"]


@each_container
def test_a_container_has_no_name_so_that_it_can_be_scaled(name: str) -> None:
    assert "container_name" not in CONTAINERS[name]


def test_servers_that_hold_data_cannot_reach_out() -> None:
    assert COMPOSE["networks"]["back"] == {"internal": True}


@each_service
def test_every_service_is_built_by_the_one_recipe_with_its_extra(name: str) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    build = CONTAINERS[name]["build"]

    assert (build["context"], build["args"]["SERVICE"]) == (".", name)
    assert name in extras


@each_service
def test_a_service_drains_before_it_is_killed(name: str) -> None:
    grace = Settings.model_fields["grace"].default
    seconds = int(CONTAINERS[name]["stop_grace_period"].removesuffix("s"))

    assert seconds > grace.total_seconds()


@pytest.mark.parametrize("service", installed(), ids=lambda service: service.name)
def test_a_service_is_told_only_what_it_listens_to(service: Any) -> None:
    known = {name.upper() for name in settings_of(service.module).model_fields}
    told = {name.removesuffix("_FILE") for name in CONTAINERS[service.name]["environment"]}

    unknown = {name for name in told - known if not name.startswith("OTEL_")}

    assert unknown <= {"TMPDIR", "GATEWAY_URL", "FILES_URL"}


@each_service
def test_a_service_sees_its_own_secrets_alone(name: str) -> None:
    container = CONTAINERS[name]
    read = {Path(value).name for key, value in container["environment"].items() if key.endswith("_FILE")}

    assert read == set(container["secrets"])
    assert {secret for secret in read if not secret.startswith(f"{name}_")} <= {"api_keys"}


def test_the_secrets_that_are_handed_out_are_those_that_are_made(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    made = {file.name for file in tmp_path.iterdir()}
    wanted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    used = {name for container in CONTAINERS.values() for name in named(container.get("secrets", []))}

    assert wanted <= made
    assert made - wanted == {"api_key", "redis_admin_password"}  # for people
    assert used == COMPOSE["secrets"].keys()


def test_secrets_are_kept_when_they_are_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    first = make_secrets(folder)
    before = {file.name: file.read_text() for file in folder.iterdir()}
    (folder / "email_redis_url").unlink()

    again = make_secrets(folder)

    after = {file.name: file.read_text() for file in folder.iterdir()}
    changed = {name for name in before if before[name] != after[name]}
    assert (first > 1, again) == (True, 1)
    assert changed == {"email_redis_url", "redis_users.acl"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_recipe_needs_no_registry_but_for_its_base() -> None:
    recipe = (ROOT / "Dockerfile").read_text()

    assert "# syntax=" not in recipe
    assert set(re.findall(r"^FROM (\S+)", recipe, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    assert set(re.findall(r"--from=(\S+)", recipe)) == {"build"}
    assert recipe.count("--require-hashes") == 2
    assert re.search(r"^USER 10001", recipe, re.MULTILINE)


def settings_of(module: str) -> type[Settings]:
    """The settings class of a service."""
    found = vars(importlib.import_module(f"{module}.settings")).values()
    classes = [one for one in found if isinstance(one, type) and issubclass(one, Settings)]
    return max(classes, key=lambda one: len(one.model_fields))


def named(secrets: list[Any]) -> list[str]:
    return [one if isinstance(one, str) else one["source"] for one in secrets]
