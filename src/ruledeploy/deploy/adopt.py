"""Taking over what is live and as the files say: a record, and no write to Kibana."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ruledeploy.deploy.adopted import unmarked
from ruledeploy.deploy.live import Live
from ruledeploy.deploy.lock import locked, who
from ruledeploy.deploy.merge import merge
from ruledeploy.deploy.normalise import differing
from ruledeploy.deploy.objects import Desired, Ref, desired_objects
from ruledeploy.deploy.records import Applied, Entry, Record
from ruledeploy.deploy.store import RecordStore
from ruledeploy.errors import RefusedError
from ruledeploy.model import Release


def refuse_unfinished(applied: Applied) -> None:
    """Raise `RefusedError` while a push has not finished: what is live is neither old nor new."""
    if applied.state != "done":
        raise RefusedError(
            f"record {applied.n} is of a push that did not finish ({applied.state})",
            hint="push again, or roll back, first",
        )


def write_adoption(
    store: RecordStore, release: Release, live: Live, commit: str | None, reason: str
) -> int:
    """Record what is live as ours where it is as `release` wants it; the record's number.

    0 when the records say so already. Objects that differ keep what was recorded of them; what is
    neither wanted nor there is forgotten. Raises `RefusedError` on a lock or an unfinished push.
    """
    with locked(store.documents):
        applied = store.applied()
        refuse_unfinished(applied)
        before = {ref: entries[0] for ref, entries in applied.objects.items()}
        after = adopted_entries(release, live, applied)
        if after == before:
            return 0
        record = Record(
            n=applied.n + 1,
            state="done",
            who=who(),
            when=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=commit,
            plan={"checksum": "", "changes": _summary(before, after, reason)},
            before={},
            after=after,
        )
        store.begin(record)
    return record.n


def adopted_entries(release: Release, live: Live, applied: Applied) -> dict[Ref, Entry]:
    """What is ours afterwards."""
    after: dict[Ref, Entry] = {}
    wanted = {desired.ref: desired for desired in desired_objects(release, applied.owner)}
    for ref in sorted(wanted.keys() | applied.objects.keys()):
        desired, body, known = wanted.get(ref), live.get(ref), applied.newest(ref)
        if desired is not None and body is not None and _as_wanted(desired, live, applied):
            source, exact = desired.provenance.source_id, {**body, **desired.body}
            marks = ref.kind != "prebuilt" and bool(differing(ref.kind, exact, body))
            after[ref] = Entry(desired.body, source, adopted=marks)
        elif known is not None and (desired or body or ref.kind == "value_list"):
            after[ref] = known  # value lists are not read here, and never pruned
    return after


def _as_wanted(desired: Desired, live: Live, applied: Applied) -> bool:
    """Whether a live object is what the files say, our marks apart."""
    kind, owner = desired.ref.kind, applied.owner
    body = live.objects[desired.ref]
    want = unmarked(kind, desired.body, owner)
    have = unmarked(kind, body, owner)
    return not differing(kind, have, merge(kind, None, have, want).body)


def _summary(
    before: Mapping[Ref, Entry], after: Mapping[Ref, Entry], reason: str
) -> list[dict[str, Any]]:
    changed = [
        ref for ref in sorted(before.keys() | after.keys()) if before.get(ref) != after.get(ref)
    ]
    return [
        {
            "object": ref.key,
            "name": str((after.get(ref) or before[ref]).body.get("name", ref.id)),
            "action": "record",
            "reason": reason if ref in after else "gone from the sources and the server",
            "class": "cosmetic",
        }
        for ref in changed
    ]
