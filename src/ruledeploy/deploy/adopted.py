"""Objects that were taken over as they were: compared without our marks.

A write only to put our marks on a rule, or to bring them up to date, would change whose key runs
it. So an adopted object keeps what it has until something about it really changes; until then the
record alone says that it is ours and where it comes from.
"""

from __future__ import annotations

import re
from typing import Any

from ruledeploy.deploy.objects import Kind, Owner
from ruledeploy.model import JsonObject

# What compiling writes of a file into texts: below a rule's note, as a list's description, and as
# the last fact of an item's.
_RULE_SOURCE = re.compile(r"\n*Source: `[^`\n]*`\Z")
_LIST_SOURCE = re.compile(r"Kept in [^\n]* by ruledeploy; edit it there\.\Z")
_ITEM_SOURCE = re.compile(r"(?:\n\n| · |\A)Source: [^\n]*\Z")
_TEXTS: dict[Kind, tuple[str, re.Pattern[str]]] = {
    "rule": ("note", _RULE_SOURCE),
    "list": ("description", _LIST_SOURCE),
    "item": ("description", _ITEM_SOURCE),
}


def unmarked(kind: Kind, body: JsonObject, owner: Owner) -> dict[str, Any]:
    """The body without what says that it is ours and where it comes from."""
    plain = dict(body)
    if "tags" in plain:
        plain["tags"] = [tag for tag in plain["tags"] or () if tag != owner.mark]
    if kind == "rule":
        plain.pop("meta", None)
    if kind in _TEXTS:
        field, source = _TEXTS[kind]
        text = source.sub("", plain.pop(field, None) or "")
        if text:
            plain[field] = text
    return plain
