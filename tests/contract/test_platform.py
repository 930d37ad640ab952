"""Headers, envelopes, spaces and status: what Kibana's core does before any handler."""

from __future__ import annotations

from typing import Any

import pytest

RULES = "/api/detection_engine/rules"
SPACES = "/api/spaces/space"


def test_writes_need_the_xsrf_header(kibana: Any, rule: Any) -> None:
    """Any value will do; GET needs none."""
    reply = kibana("POST", RULES, rule(), xsrf=False)
    assert reply.body == {
        "statusCode": 400,
        "error": "Bad Request",
        "message": "Request must contain a kbn-xsrf header.",
    }
    assert kibana("GET", f"{RULES}/_find", xsrf=False).status == 200


def test_another_kbn_version_is_a_stale_browser(kibana: Any) -> None:
    """The attributes tell what was expected and what came."""
    reply = kibana("GET", f"{RULES}/_find", headers={"kbn-version": "8.0.0"})
    assert reply.status == 400
    assert reply.body["attributes"] == {"expected": "9.5.1", "got": "8.0.0"}
    assert reply.body["message"].startswith("Browser client is out of date")


@pytest.mark.parametrize(
    ("version", "status", "message"),
    [
        ("2023-10-31", 200, None),
        (
            "soon",
            400,
            (
                'Invalid version. Received "soon", expected a valid date string formatted as '
                "YYYY-MM-DD."
            ),
        ),
        (
            "1999-01-01",
            400,
            (
                'No version "1999-01-01" available for [get] [/api/detection_engine/rules/_find]. '
                "Available versions are: [2023-10-31]"
            ),
        ),
    ],
)
def test_api_versions(kibana: Any, version: str, status: int, message: str | None) -> None:
    """The only public version is 2023-10-31."""
    reply = kibana("GET", f"{RULES}/_find", headers={"elastic-api-version": version})
    assert reply.status == status
    if message:
        assert reply.body["message"] == message


def test_answers_name_server_and_version(kibana: Any) -> None:
    """Every answer carries `kbn-name` and `elastic-api-version`."""
    headers = kibana("GET", f"{RULES}/_find").headers
    assert headers["elastic-api-version"] == "2023-10-31"
    assert headers["kbn-name"]


def test_internal_routes_are_hidden(kibana: Any) -> None:
    """Without `x-elastic-internal-origin` an internal route does not exist."""
    reply = kibana("GET", "/internal/security/me")
    assert reply.status == 400
    assert reply.body["message"] == (
        "uri [/internal/security/me] with method [get] exists but is not available with the "
        "current configuration"
    )
    hello = {"x-elastic-internal-origin": "tests"}
    assert kibana("GET", "/internal/security/me", headers=hello).status == 200


def test_unknown_urls_and_methods_are_404(kibana: Any) -> None:
    """In the platform's envelope."""
    missing = {"statusCode": 404, "error": "Not Found", "message": "Not Found"}
    assert kibana("GET", "/api/nothing").body == missing
    assert kibana("DELETE", "/api/status").body == missing


def test_a_body_that_is_not_json(kibana: Any) -> None:
    """400 from the platform, before any schema."""
    raw = kibana.pool.request("POST", f"{kibana.url}{RULES}", body=b"{", headers={"kbn-xsrf": "x"})
    assert raw.json()["message"] == "Invalid request payload JSON format"


def test_status_tells_name_and_version(kibana: Any) -> None:
    """Without security everybody is told everything."""
    body = kibana("GET", "/api/status").body
    assert body["version"]["number"] == "9.5.1"
    assert body["version"]["build_flavor"] == "traditional"
    assert body["status"]["overall"]["level"] == "available"


def test_spaces_live_and_die(kibana: Any, space: str) -> None:
    """Create, conflict, read, update, list, delete with everything inside."""
    body = {"id": space, "name": "Team"}
    assert kibana("POST", SPACES, body).body["disabledFeatures"] == []
    assert kibana("POST", SPACES, body).status == 409
    assert kibana("PUT", f"{SPACES}/{space}", {**body, "name": "New"}).body["name"] == "New"
    assert kibana("GET", f"{SPACES}/{space}").body["name"] == "New"
    ids = [s["id"] for s in kibana("GET", SPACES).body]
    assert ids[0] == "default"
    assert space in ids
    assert kibana("DELETE", f"{SPACES}/{space}").status == 204
    assert kibana("GET", f"{SPACES}/{space}").body["statusCode"] == 404


def test_the_default_space_stays(kibana: Any) -> None:
    """It is reserved."""
    assert kibana("GET", f"{SPACES}/default").body["_reserved"] is True
    assert kibana("DELETE", f"{SPACES}/default").status == 400


def test_privileges_come_with_two_flags(kibana: Any) -> None:
    """has_privileges plus is_authenticated and has_encryption_key."""
    body = kibana("GET", "/api/detection_engine/privileges", space="soc").body
    assert body["has_encryption_key"] is True
    assert body["index"][".alerts-security.alerts-soc"]["read"] is True


def test_the_alerts_index_has_the_space_in_its_name(kibana: Any) -> None:
    """`index_mapping_outdated` is false."""
    body = kibana("GET", "/api/detection_engine/index", space="soc").body
    assert body == {"name": ".alerts-security.alerts-soc", "index_mapping_outdated": False}
    assert kibana("POST", "/api/detection_engine/index").body == {"acknowledged": True}
