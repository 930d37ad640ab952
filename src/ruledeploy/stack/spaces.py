"""`/api/spaces/space`: the only place that knows whether a space exists.

API calls below `/s/<id>/` are served for any id, as Kibana does: it checks spaces for its pages.
"""

from __future__ import annotations

import re
from typing import Any

from ruledeploy.stack.context import Stack
from ruledeploy.stack.coreschema import body_of
from ruledeploy.stack.errors import platform
from ruledeploy.stack.http import Answer, Call, Endpoint
from ruledeploy.stack.store import EVERYWHERE, Saved

SPACES = "/api/spaces/space"
_DEFAULT = {
    "id": "default",
    "name": "Default",
    "description": "This is your default space!",
    "color": "#00bfb3",
    "disabledFeatures": [],
    "_reserved": True,
}
_ID = re.compile("[a-z0-9_-]+")
_REQUIRED = {"id": "string", "name": "string"}
_OPTIONAL = {
    **dict.fromkeys(("description", "color", "initials", "imageUrl", "solution"), "string"),
    "disabledFeatures": "array of string",
}
_FIELDS = (*_REQUIRED, *_OPTIONAL)


def listed(stack: Stack, call: Call) -> Answer:
    """`GET`: all spaces."""
    del call
    return Answer([_DEFAULT, *(saved.body for saved in stack.store.all("space", EVERYWHERE))])


def read(stack: Stack, call: Call) -> Answer:
    """`GET {id}`: 404 in the platform's envelope."""
    if call.params["id"] == "default":
        return Answer(_DEFAULT)
    return Answer(_existing(stack, call.params["id"]).body)


def _existing(stack: Stack, space_id: str) -> Saved:
    found = stack.store.get("space", EVERYWHERE, space_id)
    if found is None:
        raise platform(404, "Not Found")
    return found


def exists(stack: Stack, space_id: str) -> bool:
    """Whether somebody has made that space."""
    return space_id == "default" or stack.store.get("space", EVERYWHERE, space_id) is not None


def create(stack: Stack, call: Call) -> Answer:
    """`POST`: 409 when the id is taken."""
    body = _parsed(call)
    if exists(stack, body["id"]):
        raise platform(409, f"A space with the identifier {body['id']} already exists.")
    stack.store.put(Saved("space", EVERYWHERE, body["id"], body["id"], body))
    return Answer(body)


def update(stack: Stack, call: Call) -> Answer:
    """`PUT {id}`: `disabledFeatures` is reset when left out, other fields are kept."""
    found = _existing(stack, call.params["id"])
    body = {**found.body, **_parsed(call), "id": found.id}
    stack.store.put(Saved("space", EVERYWHERE, found.id, found.id, body))
    return Answer(body)


def delete(stack: Stack, call: Call) -> Answer:
    """`DELETE {id}`: the space and everything in it go; 204."""
    if call.params["id"] == "default":
        raise platform(400, "The default space cannot be deleted because it is reserved.")
    found = _existing(stack, call.params["id"])
    stack.store.db.execute("DELETE FROM objects WHERE space = ?", (found.id,))
    stack.store.delete(found)
    return Answer(status=204)


def _parsed(call: Call) -> dict[str, Any]:
    sent = body_of(call, _REQUIRED, _OPTIONAL)
    if not sent["name"]:
        raise platform(
            400,
            "[request body.name]: value has length [0] but it must have a minimum length of [1].",
        )
    if not _ID.fullmatch(sent["id"]):
        raise platform(
            400,
            "[request body.id]: must be lower case, a-z, 0-9, '_', and '-' are allowed. OR must "
            "match regular expression ^[a-z0-9_-]+$",
        )
    return {"disabledFeatures": [], **{key: sent[key] for key in _FIELDS if key in sent}}


ROUTES = (
    Endpoint("GET", SPACES, listed),
    Endpoint("POST", SPACES, create, "write", "manage_spaces"),
    Endpoint("GET", f"{SPACES}/{{id}}", read),
    Endpoint("PUT", f"{SPACES}/{{id}}", update, "write", "manage_spaces"),
    Endpoint("DELETE", f"{SPACES}/{{id}}", delete, "write", "manage_spaces"),
)
