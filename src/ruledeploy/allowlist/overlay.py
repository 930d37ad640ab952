"""One overlay file, read and checked: the *source* state of an allowlist."""

from __future__ import annotations

import difflib
import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from ruledeploy.allowlist.verbatim import KibanaItem, KibanaList, read_item, read_list
from ruledeploy.errors import Collector, Location, OverlayError, RuledeployError
from ruledeploy.model import JsonObject
from ruledeploy.sigma import FieldMatch
from ruledeploy.yamldoc import YamlDoc, load_all

OS_TYPES = ("linux", "macos", "windows")
_ITEM_ID = re.compile(r"^[a-z0-9][a-z0-9._-]*$")
_TEXT: JsonObject = {"type": ["string", "number", "boolean"], "pattern": r"\S"}
_DAY: JsonObject = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}"}
_STRINGS: JsonObject = {"type": "array", "items": {"type": "string"}}
_NAMES: JsonObject = {
    "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}]
}
_SELECTION: JsonObject = {"type": "object", "minProperties": 1}
# Every key with its JSON Schema: what is not here is refused.
_ITEM_KEYS: Mapping[str, JsonObject] = {
    "id": {"type": ["string", "number", "boolean"], "pattern": _ITEM_ID.pattern},
    "name": _TEXT,
    "match": _SELECTION,
    "not": _SELECTION,
    "kibana": {"type": "object"},
    "owner": _TEXT,
    "reason": _TEXT,
    "ticket": _TEXT,
    "expires": _DAY,
    "permanent": {"type": "boolean"},
    "review_by": _DAY,
    "os": {"type": "array", "items": {"enum": list(OS_TYPES)}},
    "suppresses": _STRINGS,
    "keeps": _STRINGS,
    "state": {"enum": ["present", "absent"]},
}
_OVERLAY_KEYS: Mapping[str, JsonObject] = {
    "title": _TEXT,
    "id": {"type": "string", "format": "uuid"},
    "description": {},
    "rules": _NAMES,
    "prebuilt": _NAMES,
    "items": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["id"],
            "properties": _ITEM_KEYS,
            "additionalProperties": False,
        },
    },
    "kibana": {"type": "object"},
}
OVERLAY_SCHEMA: JsonObject = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ruledeploy allowlist overlay",
    "type": "object",
    "required": ["id"],
    "properties": _OVERLAY_KEYS,
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class OverlayItem:
    """One allowlisted activity, as its file says it.

    `match` lines are joined by AND; every line of `exclude` (`not:`) must be false as well.
    `expires` is the last moment the item counts. An `absent` item removes what an earlier folder
    gave, and holds nothing else.
    """

    id: str
    location: Location
    name: str = ""
    match: tuple[FieldMatch, ...] = ()
    exclude: tuple[FieldMatch, ...] = ()
    owner: str | None = None
    reason: str | None = None
    ticket: str | None = None
    expires: datetime | None = None
    permanent: bool = False
    review_by: date | None = None
    os: tuple[str, ...] = ()
    suppresses: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    absent: bool = False
    kibana: KibanaItem | None = None


@dataclass(frozen=True, slots=True)
class Overlay:
    """A named set of items for a set of rules. `rules` None: inherited from an earlier folder.

    `prebuilt` are rule_ids of Elastic's own rules, of which only the link to the list is managed;
    None is inherited too.
    """

    id: str
    location: Location
    title: str | None = None
    rules: tuple[tuple[str, Location], ...] | None = None
    prebuilt: tuple[tuple[str, Location], ...] | None = None
    items: tuple[OverlayItem, ...] = ()
    kibana: KibanaList | None = None


@dataclass(frozen=True, slots=True)
class ParsedOverlays:
    """What one file says: a wrong document never hides what is wrong in another."""

    overlays: tuple[Overlay, ...]
    errors: tuple[RuledeployError, ...]


def parse_overlays(files: Mapping[str, bytes]) -> tuple[Overlay, ...]:
    """The overlays of one folder, in path order.

    Raises `OverlayError`, `YamlError` or `Problems` with everything that is wrong in any file.
    """
    return one_folder(parse_overlay_file(path, data) for path, data in files.items())


def parse_overlay_file(path: str, data: bytes) -> ParsedOverlays:
    """The overlays of one file, and what is wrong in it."""
    collector = Collector()
    overlays: list[Overlay] = []
    with collector.collect():
        for doc in load_all(data, path):
            if isinstance(doc.value, dict) and "filter" in doc.value:
                continue  # a Sigma filter narrows rules, and is compiled with them
            with collector.collect():
                overlays.append(_Reader(doc).overlay())
    return ParsedOverlays(tuple(overlays), tuple(collector.errors))


def one_folder(files: Iterable[ParsedOverlays]) -> tuple[Overlay, ...]:
    """The overlays of a folder's files. Raises everything that is wrong in any of them."""
    collector = Collector()
    overlays: list[Overlay] = []
    for each in files:
        overlays += each.overlays
        collector.errors += each.errors
    for first, second in _repeated(overlays):
        message = f"the overlay id {second.id} is already used in {first.location}"
        collector.add(
            OverlayError(message, location=second.location, hint="one file per overlay and folder")
        )
    collector.raise_if_any()
    return tuple(overlays)


def _repeated(overlays: Iterable[Overlay]) -> Iterable[tuple[Overlay, Overlay]]:
    seen: dict[str, Overlay] = {}
    for overlay in overlays:
        if overlay.id in seen:
            yield seen[overlay.id], overlay
        seen.setdefault(overlay.id, overlay)


class _Reader:
    """Reads one document, collecting every problem."""

    def __init__(self, doc: YamlDoc) -> None:
        self.doc = doc
        self.collector = Collector()

    def overlay(self) -> Overlay:
        """The overlay of the document."""
        value = self.doc.value
        if not isinstance(value, dict):
            raise OverlayError(
                "an overlay is a mapping with id, title, rules and items", location=self.doc.at()
            )
        self._known(value, _OVERLAY_KEYS)
        overlay_id = self._id(value)
        overlay = Overlay(
            id=overlay_id,
            location=self.doc.at("id") if "id" in value else self.doc.at(),
            title=self._text(value, "title"),
            rules=self._names(value, "rules", "rule ids, titles, tag:… or any"),
            prebuilt=self._names(value, "prebuilt", "rule_ids of Elastic's prebuilt rules"),
            items=self._items(value),
            kibana=read_list(self.doc, value, self.collector),
        )
        self.collector.raise_if_any()
        return overlay

    def fail(self, message: str, *keys: str | int, hint: str | None = None) -> None:
        """Keep a problem at the place of `keys`."""
        self.collector.add(OverlayError(message, location=self.doc.at(*keys), hint=hint))

    def _known(self, value: Mapping[str, Any], known: Collection[str], *keys: str | int) -> None:
        for key in value:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                self.fail(f"unknown key {key!r}", *keys, key, hint=hint)

    def _id(self, value: Mapping[str, Any]) -> str:
        given = value.get("id")
        try:
            return str(uuid.UUID(str(given)))
        except ValueError:
            self.fail(
                "an overlay needs an id that is a UUID",
                "id",
                hint="it names the list in Kibana and never changes",
            )
            return str(given)

    def _names(
        self, value: Mapping[str, Any], key: str, what: str
    ) -> tuple[tuple[str, Location], ...] | None:
        given = value.get(key)
        if given is None:
            return None
        names = given if isinstance(given, list) else [given]
        if not names or not all(isinstance(name, str) for name in names):
            self.fail(f"{key} must list {what}", key)
            return ()
        places = (
            self.doc.at(key, n) if isinstance(given, list) else self.doc.at(key)
            for n in range(len(names))
        )
        return tuple(zip(names, places, strict=True))

    def _items(self, value: Mapping[str, Any]) -> tuple[OverlayItem, ...]:
        given = value.get("items", [])
        if not isinstance(given, list):
            self.fail("items must be a list", "items")
            return ()
        items = []
        seen: dict[str, int] = {}
        for n, entry in enumerate(given):
            with self.collector.collect():
                item = self._item(entry, n)
                items.append(item)
                if item.id in seen:
                    self.fail(f"the item id {item.id!r} is used twice", "items", n, "id")
                seen[item.id] = n
        return tuple(items)

    def _item(self, entry: object, n: int) -> OverlayItem:
        at = ("items", n)
        if not isinstance(entry, dict):
            raise OverlayError("an item is a mapping with id and match", location=self.doc.at(*at))
        self._known(entry, _ITEM_KEYS, *at)
        item_id = str(entry.get("id", ""))
        if not _ITEM_ID.match(item_id):
            raise OverlayError(
                "an item needs an id of a-z, 0-9, - and _", location=self.doc.at(*at, "id")
            )
        if self._absent(entry, at):
            return OverlayItem(item_id, self.doc.at(*at, "id"), absent=True)
        verbatim = read_item(self.doc, entry, at, self.collector)
        if verbatim and verbatim.entries and ("match" in entry or "not" in entry):
            self.fail("entries are written twice", *at, "kibana", hint="keep `match` or `kibana`")
        return OverlayItem(
            id=item_id,
            location=self.doc.at(*at, "id"),
            name=self._text(entry, "name", *at) or item_id,
            match=() if verbatim and verbatim.entries else self._selection(entry, "match", at),
            exclude=self._selection(entry, "not", at) if "not" in entry else (),
            owner=self._text(entry, "owner", *at),
            reason=self._text(entry, "reason", *at),
            ticket=self._text(entry, "ticket", *at),
            expires=self._moment(entry, at),
            permanent=self._flag(entry, "permanent", at),
            review_by=self._date(entry, "review_by", at),
            os=self._choices(entry, "os", OS_TYPES, at),
            suppresses=self._texts(entry, "suppresses", at),
            keeps=self._texts(entry, "keeps", at),
            kibana=verbatim,
        )

    def _absent(self, entry: Mapping[str, Any], at: tuple[str | int, ...]) -> bool:
        state = entry.get("state", "present")
        if state not in ("present", "absent"):
            self.fail(f"unknown state {state!r}", *at, "state", hint="absent removes an item")
        if state == "absent" and "match" in entry:
            self.fail(
                "an absent item matches nothing",
                *at,
                "match",
                hint="drop `match:`, or drop `state: absent`",
            )
        return bool(state == "absent")

    def _selection(
        self, entry: Mapping[str, Any], key: str, at: tuple[str | int, ...]
    ) -> tuple[FieldMatch, ...]:
        if not entry.get(key):
            # An item without entries would hide every event of every rule it is linked to.
            self.fail(f"an item needs a `{key}:` with at least one field", *at, key)
            return ()
        from ruledeploy.sigma.selection import parse_selection  # noqa: PLC0415 - loads slowly

        with self.collector.collect():
            return parse_selection(self.doc, *at, key)
        return ()

    def _text(self, value: Mapping[str, Any], key: str, *at: str | int) -> str | None:
        given = value.get(key)
        if given is None:
            return None
        if isinstance(given, list | dict) or not str(given).strip():
            self.fail(f"{key} must be text", *at, key)
            return None
        return str(given).strip()

    def _texts(
        self, entry: Mapping[str, Any], key: str, at: tuple[str | int, ...]
    ) -> tuple[str, ...]:
        given = entry.get(key, [])
        if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
            self.fail(f"{key} must be a list of text", *at, key)
            return ()
        return tuple(given)

    def _choices(
        self, entry: Mapping[str, Any], key: str, known: tuple[str, ...], at: tuple[str | int, ...]
    ) -> tuple[str, ...]:
        chosen = self._texts(entry, key, at)
        for name in chosen:
            if name not in known:
                self.fail(f"unknown {key} {name!r}", *at, key, hint=f"one of {', '.join(known)}")
        return chosen

    def _flag(self, entry: Mapping[str, Any], key: str, at: tuple[str | int, ...]) -> bool:
        given = entry.get(key, False)
        if not isinstance(given, bool):
            self.fail(f"{key} must be true or false", *at, key)
        return given is True

    def _date(self, entry: Mapping[str, Any], key: str, at: tuple[str | int, ...]) -> date | None:
        given = entry.get(key)
        if given is None:
            return None
        try:
            return date.fromisoformat(str(given))
        except ValueError:
            self.fail(f"{key} {given!r} is no date", *at, key, hint="write it as 2027-03-31")
            return None

    def _moment(self, entry: Mapping[str, Any], at: tuple[str | int, ...]) -> datetime | None:
        """`expires` as a moment; a date without a time means the end of that day, UTC."""
        given = entry.get("expires")
        if given is None:
            return None
        try:
            moment = datetime.fromisoformat(str(given))
        except ValueError:
            self.fail(f"expires {given!r} is no date", *at, "expires", hint="such as 2027-03-31")
            return None
        if len(str(given)) == len("2027-03-31"):
            moment = datetime.combine(moment.date(), time(23, 59, 59, 999000))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
