"""Links of Elastic's prebuilt rules to our lists: the one thing of such a rule that we manage.

They are set by PATCH, which leaves every other field as it is, and merged like any set: what
others linked stays, what we linked and the files no longer want goes.
"""

from __future__ import annotations

from dataclasses import replace

from ruledeploy.deploy.decide import Decision, Situation
from ruledeploy.deploy.merge import merge
from ruledeploy.deploy.normalise import differing, fingerprint
from ruledeploy.deploy.objects import Desired, Ref
from ruledeploy.deploy.plan import Change, Write
from ruledeploy.deploy.puts import with_link_ids
from ruledeploy.deploy.records import Entry
from ruledeploy.kibana import RULES, Request
from ruledeploy.model import JsonObject


def decide_links(desired: Desired, situation: Situation) -> tuple[Decision, str | None]:
    """What becomes of the links, and a word on a rule that is not installed."""
    live = situation.live.get(desired.ref)
    if live is None:
        said = f"{desired.ref} is not installed: its exceptions wait until it is"
        return Decision(None, desired.body), said
    if not live.get("immutable"):
        reason = "is no prebuilt rule of Elastic's: name it under `rules`, or leave it out"
        change = Change(desired.ref, str(live["name"]), "conflict", reason, "detection")
        return Decision(replace(change, provenance=desired.provenance), live), None
    entry = situation.applied.base(desired.ref, live)
    merged = merge("prebuilt", entry.body if entry else None, live, desired.body).body
    fields = differing("prebuilt", live, merged)
    new = Entry(desired.body, desired.provenance.source_id)
    known = situation.applied.newest(desired.ref)
    if not fields and known and not differing("prebuilt", known.body, desired.body):
        return Decision(None, live), None
    change = replace(
        _change(desired.ref, live, merged, situation, "linked to our lists, and nothing else"),
        entry=new,
        provenance=desired.provenance,
    )
    if not fields:
        change = replace(change, action="record", reason="already as wanted", requests=())
    return Decision(change, merged), None


def unlink(ref: Ref, live: JsonObject, entry: Entry, situation: Situation) -> Change:
    """Take our links off a rule that no overlay names any more."""
    wanted = {**entry.body, "exceptions_list": []}
    merged = merge("prebuilt", entry.body, live, wanted).body
    reason = "no overlay names it any more"
    if not differing("prebuilt", live, merged):
        return Change(ref, str(live["name"]), "record", reason, "cosmetic")
    return _change(ref, live, merged, situation, reason)


def _change(
    ref: Ref, live: JsonObject, merged: JsonObject, situation: Situation, reason: str
) -> Change:
    body = with_link_ids(
        {"rule_id": ref.id, "exceptions_list": merged["exceptions_list"]}, situation.live
    )
    write = Write(ref, "update", "rule", Request("PATCH", RULES.path, body=body), body)
    return Change(
        ref,
        str(live["name"]),
        "update",
        reason,
        "detection",
        before={"exceptions_list": live["exceptions_list"]},
        after={"exceptions_list": body["exceptions_list"]},
        requests=(write,),
        fingerprint=fingerprint("prebuilt", live),
    )
