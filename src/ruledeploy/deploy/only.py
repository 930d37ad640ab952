"""One overlay by itself: what an incident needs, without the rest of the branch."""

from __future__ import annotations

from typing import Any

from ruledeploy.deploy.history import release_of
from ruledeploy.deploy.objects import Desired, Ref, desired_objects
from ruledeploy.deploy.records import Applied, Entry
from ruledeploy.errors import UsageError
from ruledeploy.model import JsonObject, Release


def only_overlay(release: Release, applied: Applied, overlay_id: str) -> Release:
    """What is applied, with one overlay's lists, items and links as `release` wants them.

    Rules that were never pushed stay out; every other object stays as the last push left it.
    Raises `UsageError` when neither side knows the overlay.
    """
    wanted = {desired.ref: desired for desired in desired_objects(release, applied.owner)}
    entries = {
        ref: versions[0] for ref, versions in applied.objects.items() if not versions[0].retired
    }
    gone = {ref for ref, entry in entries.items() if _of(entry.source_id, overlay_id, ref)}
    come = {
        ref: Entry(desired.body, desired.provenance.source_id)
        for ref, desired in wanted.items()
        if _of(desired.provenance.source_id, overlay_id, ref)
    }
    # A value list is wanted by whatever item names it; its values come with the items.
    named = {
        str(listed["list"]["id"])
        for entry in come.values()
        for listed in entry.body.get("entries", ())
        if listed["type"] == "list"
    }
    come |= {
        ref: Entry(desired.body, desired.provenance.source_id)
        for ref, desired in wanted.items()
        if ref.kind == "value_list" and ref.id in named
    }
    if not gone and not come:
        raise UsageError(
            f"no overlay {overlay_id!r} in this environment", hint="give the overlay's `id`"
        )
    kept = {ref: entry for ref, entry in entries.items() if ref not in gone}
    lists = {ref.id for ref in (*gone, *come) if ref.kind == "list"}
    for ref, entry in kept.items():
        if ref.kind in {"rule", "prebuilt"}:
            kept[ref] = Entry(_linked(entry.body, wanted.get(ref), lists), entry.source_id)
    for ref, desired in wanted.items():
        if ref.kind == "prebuilt" and ref not in kept:
            body = _linked({**desired.body, "exceptions_list": []}, desired, lists)
            if body["exceptions_list"]:
                kept[ref] = Entry(body, desired.provenance.source_id)
    return release_of({**kept, **come}, release.env, release.date, "the last push")


def _of(source_id: str, overlay_id: str, ref: Ref) -> bool:
    """True for the overlay's own lists and items."""
    return ref.kind in {"list", "item"} and source_id.split("/", 1)[0] == overlay_id


def _linked(body: JsonObject, desired: Desired | None, lists: set[str]) -> dict[str, Any]:
    """A rule's body with the links to those lists, and only those, taken from the release."""
    links = [link for link in body.get("exceptions_list", ()) if link["list_id"] not in lists]
    if desired:
        links += [
            link for link in desired.body.get("exceptions_list", ()) if link["list_id"] in lists
        ]
    return {**body, "exceptions_list": links}
