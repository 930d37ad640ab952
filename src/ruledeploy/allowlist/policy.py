"""What a reviewer would say about an allowlist item: policy, dates, and how wide it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from ruledeploy.allowlist.overlay import OverlayItem
from ruledeploy.model import ExceptionPolicy, Finding
from ruledeploy.sigma import FieldMatch

# Anyone can give a file any name; these say nothing about where it lies or who signed it.
_NAMES = ("process.name", "process.parent.name", "Target.process.name", "file.name", "dll.name")
# Folders any user can write to: what lies there is not trusted for lying there.
_WRITABLE = ("\\users\\", "\\temp\\", "\\tmp\\", "\\appdata\\", "\\programdata\\", "\\public\\")


def item_findings(item: OverlayItem, policy: ExceptionPolicy, today: date) -> Iterator[Finding]:
    """Everything to report about one item, errors (policy broken) first."""
    yield from _policy(item, policy, today)
    yield from _dates(item, policy, today)
    yield from _width(item)


def expired(item: OverlayItem, today: date) -> bool:
    """Whether the item's last moment lies before `today` begins (UTC)."""
    start = datetime.combine(today, time(), tzinfo=UTC)
    return item.expires is not None and item.expires < start


def _policy(item: OverlayItem, policy: ExceptionPolicy, today: date) -> Iterator[Finding]:
    given = {"owner": item.owner, "reason": item.reason, "ticket": item.ticket}
    for name in policy.require:
        if not given.get(name):
            message = f"the item {item.id!r} has no {name}"
            yield Finding("error", f"no-{name}", message, item.location, f"write  {name}: …")
    if unsaid := [name for name, text in given.items() if (text or "").startswith("TODO")]:
        message = f"the item {item.id!r} still says TODO for {' and '.join(unsaid)}"
        hint = "write it, or drop the item: nobody has vouched for it"
        yield Finding("warning", "todo", message, item.location, hint)
    if item.expires is None and not (item.permanent and item.review_by):
        message = f"the item {item.id!r} never ends and nobody will look at it again"
        hint = "write  expires: <date>, or  permanent: true  with  review_by: <date>"
        yield Finding("error", "no-end", message, item.location, hint)
    if item.expires is not None and item.permanent:
        message = f"the item {item.id!r} is permanent and expires"
        yield Finding("error", "no-end", message, item.location, "keep one of the two")
    if policy.max_days is not None and item.expires is not None:
        last = today + timedelta(days=policy.max_days)
        if item.expires.date() > last:
            message = f"the item {item.id!r} lasts longer than the {policy.max_days} days allowed"
            hint = f"expire it on {last} or before"
            yield Finding("error", "too-long", message, item.location, hint)


def _dates(item: OverlayItem, policy: ExceptionPolicy, today: date) -> Iterator[Finding]:
    if item.expires is not None:
        days = (item.expires.date() - today).days
        if expired(item, today):
            message = f"the item {item.id!r} expired on {item.expires.date()} and is left out"
            yield Finding("warning", "expired", message, item.location, "remove it, or extend it")
        elif days <= policy.warn_days:
            message = f"the item {item.id!r} expires in {days} days"
            yield Finding(
                "warning", "expires-soon", message, item.location, "extend it, or let it go"
            )
    if item.review_by is not None and item.review_by < today:
        message = f"the item {item.id!r} was to be reviewed by {item.review_by}"
        yield Finding(
            "warning", "review-due", message, item.location, "review it and set a new date"
        )


def _width(item: OverlayItem) -> Iterator[Finding]:
    if item.match and all(line.field.removesuffix(".caseless") in _NAMES for line in item.match):
        fields = " and ".join(dict.fromkeys(line.field for line in item.match))
        message = f"the item {item.id!r} trusts {fields} alone, and names can be forged"
        hint = "add the path or the signature (process.executable, process.code_signature.*)"
        yield Finding("warning", "name-only", message, item.location, hint)
    if item.match and all(line.kind == "exists" for line in item.match):
        message = f"the item {item.id!r} only asks whether a field is there"
        yield Finding("warning", "wide", message, item.location, "name the values you trust")
    for line in item.match:
        if _writable(line):
            message = f"{line.field} trusts a folder that users can write to"
            hint = "name the signer as well (process.code_signature.subject_name, .trusted)"
            signed = any("code_signature" in other.field for other in item.match)
            if not signed:
                yield Finding("warning", "writable-path", message, line.location, hint)


def _writable(line: FieldMatch) -> bool:
    texts = (pattern.literal.lower() for pattern in line.values)
    return line.kind == "match" and any(folder in text for text in texts for folder in _WRITABLE)
