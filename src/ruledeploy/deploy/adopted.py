"""Objects that were taken over as they were: compared without our marks.

A write only to put our mark on a rule would change whose key runs it. So an adopted object keeps
its tags, texts and `meta` until something about it really changes; until then the record alone
says that it is ours.
"""

from __future__ import annotations

import re
from typing import Any

from ruledeploy.deploy.objects import Kind, Owner
from ruledeploy.model import JsonObject

# The line that compiling puts below a rule's note.
_SOURCE = re.compile(r"\n*Source: `[^`\n]*`\Z")


def unmarked(kind: Kind, body: JsonObject, owner: Owner) -> dict[str, Any]:
    """The body without what says that it is ours: our tag, the rule's source."""
    plain = dict(body)
    if "tags" in plain:
        plain["tags"] = [tag for tag in plain["tags"] or () if tag != owner.mark]
    if kind == "rule":
        plain.pop("meta", None)
        note = _SOURCE.sub("", plain.get("note") or "")
        plain.pop("note", None)
        if note:
            plain["note"] = note
    return plain
