"""`pull` for exception lists: into overlays of the environment's own folder, the last it names.

What was made or changed in one environment must not spread to the others by itself. So an overlay
or item that an earlier folder gives is refined in the last one, never edited where others read it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from ruledeploy.deploy.normalise import instant
from ruledeploy.deploy.objects import Ref
from ruledeploy.deploy.pull_lists import (
    find_item,
    gaps,
    new_item,
    new_overlay,
    set_item_fields,
    set_list_fields,
)
from ruledeploy.deploy.pull_work import Work, gone, in_order, is_prebuilt
from ruledeploy.model import ExceptionItem, ExceptionList, JsonObject, Release
from ruledeploy.yamledit import plain

# Lists that detection rules may link and that files may say.
_TYPES = ("detection", "rule_default")
# What an item's author said of it, kept when its entries take another form.
_ENDS = ("expires", "permanent", "review_by")
_AUTHORS = ("owner", "reason", "ticket", *_ENDS)
Document = MutableMapping[str, Any]


def pull_lists(work: Work, release: Release) -> Release:
    """Bring lists and items into the files; the release with them."""
    if not work.question.env.overlays:
        for ref, _ in in_order(work.question.live, "list"):
            work.leave(ref, "the environment has no overlay folder")
        return release
    puller = _Puller(work, release)
    for ref, body in in_order(work.question.live, "list"):
        puller.take(ref, body)
    for ref in gone(work.question, "item"):
        puller.gone(ref)
    return puller.checked()


@dataclass(slots=True)
class _Puller:
    """Edits overlays. `touched` says which file each object went to."""

    work: Work
    release: Release
    touched: dict[Ref, str] = field(default_factory=dict)
    lists: dict[str, ExceptionList] = field(init=False)
    items: dict[str, ExceptionItem] = field(init=False)

    def __post_init__(self) -> None:
        """Index the release that the files are now."""
        self.lists = {one.list_id: one for one in self.release.lists}
        self.items = {one.item_id: one for one in self.release.items}

    @property
    def folder(self) -> str:
        """The environment's own overlay folder."""
        asked = self.work.question
        return f"{asked.project.exceptions_folder}/{asked.env.overlays[-1]}"

    def take(self, ref: Ref, body: JsonObject) -> None:
        """One live list and its items."""
        asked, compiled = self.work.question, self.lists.get(ref.id)
        if compiled is None:
            if asked.wants(ref):
                self._new_list(ref, body)
            return
        fields = gaps("list", body, compiled.body, asked.applied.owner)
        if fields and asked.wants(ref):
            path, document = self._own(compiled.provenance.source_id, str(body["name"]))
            self._inherit_block(document, compiled.provenance.source_id)
            set_list_fields(document, body, fields, asked.applied.owner)
            self.touched[ref] = path
        for item, live in self._live_items(ref.id):
            self._item(compiled, item, live)

    def _live_items(self, list_id: str) -> Iterator[tuple[Ref, JsonObject]]:
        inside = set(self.work.question.live.items_of(list_id))
        for ref, body in in_order(self.work.question.live, "item"):
            if ref in inside:
                yield ref, body

    def _new_list(self, ref: Ref, body: JsonObject) -> None:
        asked = self.work.question
        linked = {rule.id for rule in asked.live.linking(ref.id)}
        rules = sorted({r.provenance.source_id for r in self.release.rules if r.rule_id in linked})
        if body["type"] not in _TYPES:
            self.work.leave(ref, f"a list of type {body['type']} is not kept in files")
            return
        prebuilt = sorted(
            rule_id for rule_id in linked if is_prebuilt(asked.live.objects[Ref("rule", rule_id)])
        )
        if not rules and not prebuilt:
            why = "no rule of the files links it" if linked else "no rule links it"
            self.work.leave(ref, why)
            return
        document = new_overlay(body, rules, prebuilt, asked.applied.owner)
        path = self.work.free_path(self.folder, str(body["name"]))
        self.work.add(path, document)
        self.touched[ref] = path
        made = self.work.edit(path).documents[0]
        for item, live in self._live_items(ref.id):
            if not self._expired(item, live):
                self._append(made, path, item, live)

    def _item(self, list_: ExceptionList, ref: Ref, body: JsonObject) -> None:
        """One live item of a list that the files have."""
        asked, compiled = self.work.question, self.items.get(ref.id)
        if not asked.wants(ref):
            return
        if compiled is None:
            if not self._expired(ref, body):
                path, document = self._own(list_.provenance.source_id, str(list_.body["name"]))
                self._append(document, path, ref, body, self._only_list(list_))
            return
        fields = gaps("item", body, compiled.body, asked.applied.owner)
        if fields:
            self._rewrite(ref, body, compiled, fields)

    def _expired(self, ref: Ref, body: JsonObject) -> bool:
        until = str(body.get("expire_time") or "")
        over = bool(until) and instant(until) < f"{self.work.question.day}T00:00:00.000Z"
        if over:
            self.work.leave(ref, f"it expired at {until} and hides nothing any more")
        return over

    def _only_list(self, list_: ExceptionList) -> str | None:
        """The list's id, when its overlay makes several."""
        of = [x for x in self.release.lists if x.provenance.source_id == list_.provenance.source_id]
        return list_.list_id if len(of) > 1 else None

    def _append(
        self, document: Document, path: str, ref: Ref, body: JsonObject, only: str | None = None
    ) -> None:
        asked = self.work.question
        items = _items(document)
        made = new_item(body, [item["id"] for item in items], asked.applied.owner, asked.day)
        if only:
            made["kibana"]["list_id"] = only
        items.append(plain(made))
        self.touched[ref] = path

    def _rewrite(
        self, ref: Ref, body: JsonObject, compiled: ExceptionItem, fields: list[str]
    ) -> None:
        """Say an item's changes: in its own words, or as the items that it had become."""
        of = self._siblings(compiled)
        if len({one.list_id for one in of}) > 1:
            self.work.leave(ref, f"it is in a list for each telemetry family: {_by_hand(compiled)}")
        elif len(of) > 1:
            self._unfold(compiled, of)
        else:
            path, item = self._own_item(compiled)
            set_item_fields(item, body, fields, self.work.question.applied.owner)
            self.touched[ref] = path

    def _siblings(self, compiled: ExceptionItem) -> list[ExceptionItem]:
        """Everything that the same item of the same overlay became."""
        source = compiled.provenance.source_id
        return [one for one in self.release.items if one.provenance.source_id == source]

    def gone(self, ref: Ref) -> None:
        """An item that was deleted in Kibana: out of the file, or absent from here on."""
        compiled = self.items.get(ref.id)
        if compiled is None or ref in self.touched:
            return
        of = self._siblings(compiled)
        if len({one.list_id for one in of}) > 1:
            self.work.leave(ref, f"it is gone from one of its lists: {_by_hand(compiled)}")
        elif len(of) > 1:
            self._unfold(compiled, of)
        else:
            self._remove(compiled)

    def _unfold(self, compiled: ExceptionItem, of: list[ExceptionItem]) -> None:
        """Numbered items (`#1` …) as items of their own, each as it is live."""
        overlay_id, _, item_id = compiled.provenance.source_id.partition("/")
        path, document = self._own(overlay_id, overlay_id)
        source = find_item(self._find(compiled.provenance.path, overlay_id) or {}, item_id) or {}
        authors = {key: copy.deepcopy(source[key]) for key in _AUTHORS if key in source}
        items = _items(document)
        for one in of:
            ref = Ref("item", one.item_id)
            body = self.work.question.live.get(ref)
            if body is None or ref in self.touched:
                continue
            self._append(document, path, ref, body)
            ended = bool(body.get("expire_time"))
            words = {k: v for k, v in authors.items() if not (ended and k in _ENDS)}
            if words.keys() & set(_ENDS):
                for key in _ENDS:
                    items[-1].pop(key, None)
            items[-1].update(words)
        self._remove(compiled)

    def _remove(self, compiled: ExceptionItem) -> None:
        """Take an item out; where an earlier folder gives it, say that it is absent."""
        overlay_id, _, item_id = compiled.provenance.source_id.partition("/")
        path, document = self._own(overlay_id, overlay_id)
        if find_item(document, item_id) is not None:
            self.work.cut(path, overlay_id, item_id)
            path, document = self._own(overlay_id, overlay_id)
        if self._is_inherited(overlay_id, item_id):
            _items(document).append(plain({"id": item_id, "state": "absent"}))
        self.touched[Ref("item", compiled.item_id)] = path

    def _is_inherited(self, overlay_id: str, item_id: str) -> bool:
        """Whether an earlier folder of the environment gives this item."""
        asked = self.work.question
        found = (
            self._find(path, overlay_id)
            for folder in asked.env.overlays[:-1]
            for path in asked.project.overlay_files(folder)
        )
        return any(find_item(document, item_id) for document in found if document is not None)

    def _own_item(self, compiled: ExceptionItem) -> tuple[str, Document]:
        """`(path, item)` in the environment's own folder, copied there if need be."""
        overlay_id, _, item_id = compiled.provenance.source_id.partition("/")
        path, document = self._own(overlay_id, overlay_id)
        item = find_item(document, item_id)
        if item is None:
            there = self._find(compiled.provenance.path, overlay_id)
            item = copy.deepcopy(find_item(there or {}, item_id))
            assert item is not None  # noqa: S101  # it was compiled from there
            _items(document).append(item)
        return path, item

    def _own(self, overlay_id: str, name: str) -> tuple[str, Document]:
        """The overlay's document in the environment's own folder, made when it is not there."""
        for path in sorted(self.work.files):
            if path.startswith(f"{self.folder}/") and path.endswith((".yml", ".yaml")):
                document = self._find(path, overlay_id)
                if document is not None:
                    return path, document
        lists = self.release.lists
        titles = [x.body["name"] for x in lists if x.provenance.source_id == overlay_id]
        path = self.work.free_path(self.folder, str(titles[0]) if titles else name)
        self.work.add(path, {"id": overlay_id, "items": []})
        return path, self.work.edit(path).documents[0]

    def _find(self, path: str, overlay_id: str) -> Document | None:
        for document in self.work.edit(path).documents:
            if str(document.get("id", "")).lower() == overlay_id:
                found: Document = document
                return found
        return None

    def _inherit_block(self, document: Document, overlay_id: str) -> None:
        """A `kibana:` block replaces the inherited one whole, so it starts as a copy."""
        asked = self.work.question
        for folder in reversed(asked.env.overlays[:-1]):
            for path in asked.project.overlay_files(folder):
                there = self._find(path, overlay_id)
                if there is not None and there.get("kibana") and not document.get("kibana"):
                    document["kibana"] = copy.deepcopy(there["kibana"])

    def checked(self) -> Release:
        """The release, once every object that was touched is in it as it is live.

        A file that fails is taken back whole, and its objects are named.
        """
        release, errors = self.work.compile()
        for _ in range(len(self.touched)):
            wrong = self._wrong(release, errors)
            if not wrong:
                break
            for path, why in wrong.items():
                self.work.revert(path)
                for ref in [ref for ref, at in self.touched.items() if at == path]:
                    self.work.leave(ref, why)
                    del self.touched[ref]
            release, errors = self.work.compile()
        return release

    def _wrong(self, release: Release, errors: dict[str, str]) -> dict[str, str]:
        """Files that do not say what is live, with the reason."""
        paths = set(self.touched.values())
        wrong = {path: why for path, why in errors.items() if path in paths}
        compiled: dict[Ref, JsonObject] = {Ref("list", x.list_id): x.body for x in release.lists}
        compiled |= {Ref("item", x.item_id): x.body for x in release.items}
        for ref, path in self.touched.items():
            live, body = self.work.question.live.get(ref), compiled.get(ref)
            if path in wrong or (live is None and body is None):
                continue
            if live is None or body is None:
                wrong[path] = f"{ref} does not come out of its file as it is"
                continue
            fields = gaps(ref.kind, live, body, self.work.question.applied.owner)
            if fields:
                wrong[path] = f"the file cannot say {', '.join(fields)} of {ref}"
            elif ref.kind == "list" and (extra := self._extra_links(release, ref.id)):
                wrong[path] = f"the file would also link it to {', '.join(extra)}"
        return wrong

    def _extra_links(self, release: Release, list_id: str) -> list[str]:
        """Rules that the files link to a list and Kibana does not."""
        linked = {rule.id for rule in self.work.question.live.linking(list_id)}
        return [
            rule.rule_id
            for rule in release.rules
            if list_id in rule.linked_lists and rule.rule_id not in linked
        ]


def _items(document: Document) -> Any:
    """The overlay's items, as a list to append to."""
    if document.get("items") is None:
        document["items"] = plain([])
    return document["items"]


def _by_hand(compiled: ExceptionItem) -> str:
    place = compiled.provenance
    return f"edit {place.path}:{place.line} by hand"
