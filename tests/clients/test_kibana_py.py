"""kibana-py: the widest of the clients, called method by method in its own interpreter."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from support.clients import Install
from support.contract import Client
from support.stack_process import API_KEY, StackProcess

RULES = "/api/detection_engine/rules"
LISTS = "/api/exception_lists"
SPACE = "kbnpy"
# Answers each line `[namespace, method, arguments]` with one line: the body, or the error's name.
DRIVER = """
import json, sys
from kibana import Kibana

client = Kibana(sys.argv[1], api_key=sys.argv[2])
for line in sys.stdin:
    namespace, method, arguments = json.loads(line)
    try:
        answer = getattr(getattr(client, namespace), method)(**arguments)
        body = answer.body if hasattr(answer, "body") else answer
        if hasattr(body, "read"):
            body = body.read()
        print(json.dumps({"body": body}, default=lambda b: b.decode()), flush=True)
    except Exception as error:
        print(json.dumps({"error": type(error).__name__, "text": str(error)}), flush=True)
"""
RULE = {
    "type": "query", "name": "Kibana-py", "description": "d", "severity": "low", "risk_score": 21,
    "rule_id": "kbnpy", "query": "process.name: a", "index": ["kbnpy-*"], "tags": ["kbnpy"],
}  # fmt: skip
ENTRY = {"field": "process.name", "type": "match", "operator": "included", "value": "good.exe"}


class Session:
    """One interpreter with the client in it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __call__(self, namespace: str, method: str, **arguments: Any) -> Any:
        """The body of an answer, in the test's space."""
        told = self.tell(namespace, method, {"space_id": SPACE, **arguments})
        assert "error" not in told, told
        return told["body"]

    def tell(self, namespace: str, method: str, arguments: dict[str, Any]) -> Any:
        """`{"body": …}`, or `{"error": …, "text": …}`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([namespace, method, arguments]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def client(install: Install, stack: StackProcess) -> Iterator[Session]:
    """The client, with its space made."""
    program = install("kibana-py", (3, 11))
    command = [str(program.programs / "python"), "-c", DRIVER, stack.kibana_url, API_KEY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        session = Session(process)
        made = session.tell("spaces", "create", {"id": SPACE, "name": "Kibana-py"})
        assert made["body"]["id"] == SPACE
        yield session
        assert process.stdin is not None
        process.stdin.close()


def test_it_recognises_the_server(client: Session) -> None:
    """Status, features, spaces."""
    status = client.tell("status", "get_status", {})["body"]
    assert status["version"]["number"] == "9.5.1"
    assert client.tell("status", "get_features", {})["body"]
    assert SPACE in [space["id"] for space in client.tell("spaces", "get_all", {})["body"]]
    assert client("detection_engine", "get_privileges")["has_encryption_key"] is True
    assert client("detection_engine", "get_alerts_index")["name"].endswith(SPACE)


def test_rules(client: Session, kibana: Client) -> None:
    """Create, get, find, patch, replace, enable, edit, duplicate, export, import, delete."""
    made = client("detection_engine", "create_rule", **RULE)
    live = kibana("GET", f"{RULES}?rule_id=kbnpy", space=SPACE).body
    assert live["id"] == made["id"]
    assert client("detection_engine", "get_rule", rule_id="kbnpy")["id"] == made["id"]
    found = client("detection_engine", "find_rules", filter="alert.attributes.tags: kbnpy",
                   sort_field="name", sort_order="asc", per_page=5)  # fmt: skip
    assert [rule["rule_id"] for rule in found["data"]] == ["kbnpy"]
    assert client("detection_engine", "get_tags") == ["kbnpy"]

    client("detection_engine", "patch_rule", rule_id="kbnpy", severity="high")
    assert kibana("GET", f"{RULES}?rule_id=kbnpy", space=SPACE).body["severity"] == "high"
    client("detection_engine", "update_rule", **{**RULE, "name": "New", "enabled": True})
    live = kibana("GET", f"{RULES}?rule_id=kbnpy", space=SPACE).body
    assert (live["name"], live["severity"], live["enabled"]) == ("New", "low", True)

    edit = [{"type": "add_tags", "value": ["edited"]}]
    for arguments in (
        {"action": "disable"}, {"action": "edit", "edit": edit}, {"action": "duplicate"},
    ):  # fmt: skip
        done = client("detection_engine", "bulk_action_rules", ids=[made["id"]], **arguments)
        assert done["success"] is True
    live = kibana("GET", f"{RULES}?rule_id=kbnpy", space=SPACE).body
    assert (live["enabled"], live["tags"]) == (False, ["kbnpy", "edited"])
    assert kibana("GET", f"{RULES}/_find", space=SPACE).body["total"] == 2

    exported = client("detection_engine", "export_rules", objects=[{"rule_id": "kbnpy"}])
    assert [line.get("rule_id") for line in exported] == ["kbnpy", None]
    assert len(client("detection_engine", "bulk_action_rules", action="export", query="")) == 3
    client("detection_engine", "delete_rule", rule_id="kbnpy")
    assert kibana("GET", f"{RULES}?rule_id=kbnpy", space=SPACE).status == 404
    imported = client("detection_engine", "import_rules", file=exported)
    assert (imported["success"], imported["success_count"]) == (True, 1)
    assert kibana("GET", f"{RULES}?rule_id=kbnpy", space=SPACE).body["tags"] == live["tags"]
    preview = client("detection_engine", "preview_rule", **RULE, invocation_count=1,
                     timeframe_end="2026-01-01T00:00:00.000Z")  # fmt: skip
    assert preview["isAborted"] is False
    client("detection_engine", "bulk_action_rules", action="delete", query="")
    assert kibana("GET", f"{RULES}/_find", space=SPACE).body["total"] == 0
    refused = client.tell("detection_engine", "get_rule", {"rule_id": "kbnpy", "space_id": SPACE})
    assert refused["error"] == "NotFoundError"


def test_exceptions(client: Session, kibana: Client) -> None:
    """Lists and items: create, get, find, replace, export, import, duplicate, delete."""
    listed = {"list_id": "kbnpy", "name": "n", "description": "d", "type": "detection"}
    made = client("exception_lists", "create", **listed)
    assert kibana("GET", f"{LISTS}?list_id=kbnpy", space=SPACE).body["id"] == made["id"]
    item = {"list_id": "kbnpy", "name": "i", "description": "d", "entries": [ENTRY]}
    client("exception_lists", "create_item", item_id="kbnpy-1", **item)
    renamed = {**item, "name": "renamed", "item_id": "kbnpy-1"}
    renamed.pop("list_id")
    client("exception_lists", "update_item", **renamed)
    live = kibana("GET", f"{LISTS}/items?item_id=kbnpy-1", space=SPACE).body
    assert (live["name"], live["entries"]) == ("renamed", [ENTRY])
    assert client("exception_lists", "get_item", item_id="kbnpy-1")["id"] == live["id"]
    assert client("exception_lists", "find_items", list_id="kbnpy")["total"] == 1
    assert client("exception_lists", "find", namespace_type="single")["total"] == 1
    assert client("exception_lists", "get_summary", list_id="kbnpy")["total"] == 0
    client("exception_lists", "update", list_id="kbnpy", name="m", description="d",
           type="detection")  # fmt: skip
    assert kibana("GET", f"{LISTS}?list_id=kbnpy", space=SPACE).body["version"] == 2

    exported = client("exception_lists", "export", id=made["id"], list_id="kbnpy",
                      namespace_type="single", include_expired_exceptions=True)  # fmt: skip
    copy = client("exception_lists", "duplicate", list_id="kbnpy", namespace_type="single",
                  include_expired_exceptions=True)  # fmt: skip
    found = kibana("GET", f"{LISTS}/items/_find?list_id={copy['list_id']}", space=SPACE).body
    assert found["total"] == 1
    client("exception_lists", "delete", list_id="kbnpy")
    assert kibana("GET", f"{LISTS}/items?item_id=kbnpy-1", space=SPACE).status == 404
    imported = client("exception_lists", "import_lists", file=exported)
    assert imported["success_count"] == 2
    client("exception_lists", "delete_item", item_id="kbnpy-1")
    assert kibana("GET", f"{LISTS}/items/_find?list_id=kbnpy", space=SPACE).body["total"] == 0


def test_default_exceptions_and_shared_lists(client: Session, kibana: Client) -> None:
    """An item on a rule makes and links the rule's own list."""
    made = client("detection_engine", "create_rule", **{**RULE, "rule_id": "kbnpy-default"})
    item = {"type": "simple", "name": "i", "description": "d", "entries": [ENTRY]}
    client("exception_lists", "create_rule_exceptions", id=made["id"], items=[item])
    (link,) = kibana("GET", f"{RULES}?rule_id=kbnpy-default", space=SPACE).body["exceptions_list"]
    assert link["type"] == "rule_default"
    shared = client("exception_lists", "create_shared_list", name="s", description="d")
    assert kibana("GET", f"{LISTS}?id={shared['id']}", space=SPACE).body["type"] == "detection"


def test_value_lists(client: Session, kibana: Client) -> None:
    """Index, list, items, import, export, delete."""
    client("lists", "create_index")
    assert client("lists", "get_index_status") == {"list_index": True, "list_item_index": True}
    client("lists", "create", id="v", name="v", description="d", type="keyword")
    made = client("lists", "create_item", list_id="v", value="a")
    client("lists", "update_item", id=made["id"], value="b")
    client("lists", "import_items", file="c\nd\n", list_id="v", filename="v.txt")
    found = kibana("GET", "/api/lists/items/_find?list_id=v", space=SPACE).body
    assert sorted(item["value"] for item in found["data"]) == ["b", "c", "d"]
    assert client("lists", "export_items", list_id="v") == ["b", "c", "d"]
    client("lists", "patch", id="v", name="w")
    assert kibana("GET", "/api/lists?id=v", space=SPACE).body["name"] == "w"
    client("lists", "delete", id="v")
    assert kibana("GET", "/api/lists?id=v", space=SPACE).status == 404


def test_connectors_and_data_views(client: Session, kibana: Client) -> None:
    """Create, read, list, delete."""
    made = client("connectors", "create", name="c", connector_type_id=".server-log")
    assert kibana("GET", f"/api/actions/connector/{made['id']}", space=SPACE).body["name"] == "c"
    assert len(client("connectors", "get_all")) == 1
    view = client("data_views", "create", data_view={"title": "kbnpy-*"})["data_view"]
    path = f"/api/data_views/data_view/{view['id']}"
    assert kibana("GET", path, space=SPACE).body["data_view"]["title"] == "kbnpy-*"
    client("data_views", "delete", view_id=view["id"])
    assert kibana("GET", path, space=SPACE).status == 404
