"""The compose files keep what their comments promise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).resolve().parents[2] / "docker"
FILES = ("compose.yaml", "compose.test.yaml")
VARIABLES = dict(
    line.split("=", 1)
    for line in (DOCKER / ".env").read_text().splitlines()
    if line and not line.startswith("#")
)


def services(name: str) -> dict[str, Any]:
    """The services of one compose file, variables unresolved."""
    found: dict[str, Any] = yaml.safe_load((DOCKER / name).read_text())["services"]
    return found


@pytest.mark.parametrize("name", FILES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    """No service is reachable from another machine."""
    ports = [port for service in services(name).values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", FILES)
def test_each_variable_has_a_value(name: str) -> None:
    """A variable stands in docker/.env, has a default, or is demanded with a message."""
    text = (DOCKER / name).read_text()
    plain = set(re.findall(r"\$\{(\w+)\}", text))
    assert plain <= set(VARIABLES)
    assert set(re.findall(r"\$\{(\w+)", text)) - plain <= {
        "ELASTICSEARCH_IMAGE",
        "ELASTICSEARCH_TEST_PORT",
    }


def test_the_stack_is_of_one_version_with_security_on() -> None:
    """Elasticsearch, its setup step and Kibana share a version; Kibana's key is long enough."""
    stack = services("compose.yaml")
    assert {service["image"].rsplit(":", 1)[1] for service in stack.values()} == {
        "${STACK_VERSION}"
    }
    assert stack["elasticsearch"]["environment"]["xpack.security.enabled"] == "true"
    assert len(VARIABLES["KIBANA_ENCRYPTION_KEY"]) >= 32


def test_the_test_profile_asks_for_no_limits() -> None:
    """Machines that refuse to raise a limit can run the tests."""
    assert "ulimits" not in services("compose.test.yaml")["elasticsearch"]
