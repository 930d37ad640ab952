"""Folders of overlays, laid over one another: what an environment's allowlist is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ruledeploy.allowlist.overlay import Overlay, OverlayItem
from ruledeploy.errors import Collector, OverlayError


def effective_overlays(folders: Sequence[Sequence[Overlay]]) -> tuple[Overlay, ...]:
    """One overlay per id, later folders refining earlier ones, sorted by id.

    A later overlay adds items, replaces those with the same id, and removes those it calls
    `absent`; a title or rules it gives replace the earlier ones. Raises `OverlayError` or
    `Problems`: an absent item that was never there, or an overlay that names no rules.
    """
    collector = Collector()
    merged: dict[str, Overlay] = {}
    for folder in folders:
        for overlay in folder:
            with collector.collect():
                below = merged.get(overlay.id, Overlay(overlay.id, overlay.location))
                merged[overlay.id] = _refine(below, overlay)
    for overlay in merged.values():
        if not overlay.rules and not overlay.prebuilt:
            collector.add(
                OverlayError(
                    "the overlay names no rules",
                    location=overlay.location,
                    hint="write  rules: [<rule id>]; without one it would silently do nothing",
                )
            )
    collector.raise_if_any()
    return tuple(merged[key] for key in sorted(merged))


def _refine(below: Overlay, above: Overlay) -> Overlay:
    items: dict[str, OverlayItem] = {item.id: item for item in below.items}
    for item in above.items:
        if not item.absent:
            items[item.id] = item
        elif items.pop(item.id, None) is None:
            known = ", ".join(items) or "none"
            message = f"there is no item {item.id!r} to remove"
            raise OverlayError(message, location=item.location, hint=f"items so far: {known}")
    return replace(
        above,
        title=above.title or below.title,
        rules=above.rules if above.rules is not None else below.rules,
        prebuilt=above.prebuilt if above.prebuilt is not None else below.prebuilt,
        kibana=above.kibana or below.kibana,
        items=tuple(items.values()),
    )
