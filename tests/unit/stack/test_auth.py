"""Roles, wrong credentials and expired keys are real when they are configured."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3
from elasticsearch import Elasticsearch

from ruledeploy.stack import ApiKey, User, running_stack

RULES = "/api/detection_engine/rules"
RULE = {"type": "query", "name": "r", "description": "d", "severity": "low", "risk_score": 21}
USERS = (User("ann", "secret", "writer"), User("bob", "secret", "reader"))
KEYS = (
    ApiKey("k1", "s1", role="writer"),
    ApiKey("k2", "s2", expires=datetime(2020, 1, 1, tzinfo=UTC)),
)


@pytest.fixture
def send(tmp_path: Path) -> Any:
    """Requests to a secured stack with an `Authorization` header."""
    with running_stack(tmp_path, users=USERS, api_keys=KEYS) as running:

        def request(method: str, path: str, who: str = "", body: Any = None) -> Any:
            headers = {"kbn-xsrf": "x"} | ({"authorization": who} if who else {})
            return urllib3.request(
                method, running.kibana_url + path, headers=headers, json=body, retries=False
            )

        yield request


def token(scheme: str, pair: str) -> str:
    """An `Authorization` header."""
    return f"{scheme} {base64.b64encode(pair.encode()).decode()}"


def test_strangers_are_refused(send: Any) -> None:
    """401 in the platform's envelope, whether or not there is a header."""
    assert send("GET", f"{RULES}/_find").json()["message"] == "Unauthorized"
    reply = send("GET", f"{RULES}/_find", token("Basic", "ann:wrong"))
    assert reply.status == 401
    why = "unable to authenticate user [ann] for REST request [/_security/_authenticate]"
    assert reply.json() == {
        "statusCode": 401,
        "error": "Unauthorized",
        "message": f"[security_exception\n\tRoot causes:\n\t\tsecurity_exception: {why}]: {why}",
    }


def test_an_expired_key_is_refused(send: Any) -> None:
    """Its time is over by the stack's clock."""
    assert send("GET", f"{RULES}/_find", token("ApiKey", "k2:s2")).status == 401
    assert send("GET", f"{RULES}/_find", token("ApiKey", "k1:s1")).status == 200


def test_a_reader_reads(send: Any) -> None:
    """A write names the privilege that is missing."""
    bob = token("Basic", "bob:secret")
    assert send("GET", f"{RULES}/_find", bob).status == 200
    reply = send("POST", "/api/exception_lists?x=1", bob, {"name": "n"})
    assert reply.status == 403
    assert reply.json() == {
        "statusCode": 403,
        "error": "Forbidden",
        "message": "API [POST /api/exception_lists?x=1] is unauthorized for user, this action is "
        "granted by the Kibana privileges [lists-all]",
    }


def test_a_writer_signs_what_it_writes(send: Any) -> None:
    """`created_by` is the user."""
    made = send("POST", RULES, token("Basic", "ann:secret"), RULE).json()
    assert (made["created_by"], made["updated_by"]) == ("ann", "ann")


def test_status_greets_strangers_briefly(send: Any) -> None:
    """They learn the level and nothing else."""
    assert send("GET", "/api/status").json() == {"status": {"overall": {"level": "available"}}}
    assert "version" in send("GET", "/api/status", token("Basic", "bob:secret")).json()


def test_a_key_made_here_is_known_without_security(tmp_path: Path) -> None:
    """Whoever shows it is told so; whoever shows nothing, or another one, is let in."""
    with running_stack(tmp_path) as stack, Elasticsearch(stack.elasticsearch_url) as es:
        key = es.security.create_api_key(name="ci")["encoded"]
        mine = es.options(api_key=key).security.authenticate()
        assert (mine["authentication_type"], mine["roles"]) == ("api_key", [])
        assert mine["api_key"]["name"] == "ci"
        other = es.options(api_key="bm9uZTpub25l").security.authenticate()
        assert other["authentication_type"] == es.security.authenticate()["authentication_type"]
