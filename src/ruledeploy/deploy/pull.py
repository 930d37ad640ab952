"""The live state of a space, back to files that compile to what is live.

Nothing is guessed: files are written, compiled, and compared with the server; what still differs
is laid over as it is, and what cannot be said at all is named and left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from ruledeploy.compile import compile_release
from ruledeploy.deploy.adopted import unmarked
from ruledeploy.deploy.live import Live, links_of, read_objects
from ruledeploy.deploy.objects import Ref
from ruledeploy.deploy.pull_overlays import pull_lists
from ruledeploy.deploy.pull_rules import lay_over, new_rule, rule_gaps, set_fields
from ruledeploy.deploy.pull_work import Left, Question, Work, gone, in_order, is_prebuilt
from ruledeploy.deploy.records import Applied
from ruledeploy.kibana import Kibana
from ruledeploy.model import DetectionRule, JsonObject, Release
from ruledeploy.sigma import load_rules


@dataclass(frozen=True, slots=True)
class Pulled:
    """Files to write (path → content; only what changes), what is left, and the release then."""

    files: Mapping[str, bytes]
    left: tuple[Left, ...]
    release: Release


def read_space(kibana: Kibana) -> Live:
    """Every rule and list of the space, the items of every list, the links of prebuilt rules."""
    lists = [Ref("list", str(body["list_id"])) for body in kibana.lists.find().objects]
    live = read_objects(kibana, lists)
    prebuilt = {
        Ref("prebuilt", ref.id): links_of(body)
        for ref, body in live.objects.items()
        if ref.kind == "rule" and is_prebuilt(body)
    }
    return replace(live, objects={**live.objects, **prebuilt})


def newly_linked(live: Live, applied: Applied, changed: Collection[Ref]) -> set[Ref]:
    """Lists that changed rules link and no record knows, and their items: made in Kibana."""
    lists = {
        Ref("list", link["list_id"])
        for ref in changed
        if ref.kind == "rule"
        for link in (live.get(ref) or {}).get("exceptions_list", ())
        if link["namespace_type"] == "single"
    }
    unknown = {ref for ref in lists if ref not in applied.objects and live.get(ref)}
    return unknown | {item for ref in unknown for item in live.items_of(ref.id)}


def pull(question: Question) -> Pulled:
    """Files whose release is what is live. Raises what compiling the present files raises."""
    release = compile_release(question.project, question.env, question.day, question.means)
    work = Work(question, dict(question.project.files))
    release = _pull_rules(work, release)
    release = pull_lists(work, release)
    _name_shared_lists(work)
    before = question.project.files
    changed = {path: data for path, data in work.files.items() if before.get(path) != data}
    return Pulled(changed, tuple(sorted(work.left, key=lambda one: (one.ref, one.why))), release)


def _name_shared_lists(work: Work) -> None:
    """Lists of all spaces stay in Kibana, and so do the links to them."""
    linked = {
        link["list_id"]: link["namespace_type"]
        for ref, body in in_order(work.question.live, "rule")
        if work.question.wants(ref)
        for link in body.get("exceptions_list", ())
    }
    for list_id, namespace in sorted(linked.items()):
        ref = Ref("list", list_id)
        if namespace == "agnostic":
            work.leave(ref, "it is shared between spaces; rules keep their links to it")
        elif work.question.live.get(ref) is None:
            work.leave(ref, "a rule links it, but there is no such list")


def _pull_rules(work: Work, release: Release) -> Release:
    """Bring the rules into the files; the release with them."""
    pending = dict(_edited_rules(work, release))
    for last in (False, True):
        release, errors = work.compile()
        compiled = {rule.rule_id: rule for rule in release.rules}
        for rule_id, path in list(pending.items()):
            ref = Ref("rule", rule_id)
            body, rule = work.question.live.objects[ref], compiled.get(rule_id)
            why = errors.get(path) or (None if rule else "its file does not become this rule")
            fields = rule_gaps(body, rule.body, work.question.applied.owner) if rule else []
            if not why and fields and (last or not _lay_over(work, path, rule, body, fields)):
                why = f"its file cannot say {', '.join(fields)}"
            if why:
                work.revert(path)
                work.leave(ref, why)
                del pending[rule_id]
    release, errors = work.compile()
    assert not errors, errors  # noqa: S101  # every file that failed was taken back
    return release


def _edited_rules(work: Work, release: Release) -> Iterator[tuple[str, str]]:
    """Edit or make the file of each rule that the files do not have as it is: `(id, path)`."""
    asked = work.question
    compiled = {rule.rule_id: rule for rule in release.rules}
    sources = {source.id: source for source in load_rules(asked.project.rule_files).rules}
    owner = asked.applied.owner
    for ref, body in in_order(asked.live, "rule"):
        if not asked.wants(ref):
            continue
        rule, why = compiled.get(ref.id), _not_for_files(body)
        known = sources.get(ref.id)
        if rule is not None:
            fields = rule_gaps(body, rule.body, owner)
            path = rule.provenance.path
            if fields and rule.provenance.source_id != ref.id and not _given_id(work, rule):
                why = f"it is a variant of a rule in {path}: edit that by hand"
            elif fields:
                set_fields(_rule_document(work, rule), _bare(body, asked), fields)
                yield ref.id, path
                continue
        elif why is None and known is not None:
            why = f"it is in {known.path}, which is not deployed in {asked.env.name}"
        elif why is None:
            path = _rule_path(work, body)
            work.add(path, new_rule(body, owner, _environments(asked)))
            yield ref.id, path
        if why:
            work.leave(ref, why)
    for ref in gone(asked, "rule"):
        if ref.id in compiled:
            _retire(work, compiled[ref.id])


def _not_for_files(body: JsonObject) -> str | None:
    if is_prebuilt(body):
        return "it is one of Elastic's prebuilt rules, which are never managed"
    if body["type"] in {"machine_learning", "saved_query"}:
        return f"a rule of type {body['type']} has no query of its own to keep in a file"
    return None


def _bare(body: JsonObject, asked: Question) -> JsonObject:
    return unmarked("rule", body, asked.applied.owner)


def _environments(asked: Question) -> tuple[str, ...]:
    """Where a pulled rule is deployed: here alone, when there is anywhere else."""
    return (asked.env.name,) if len(asked.project.env_names) > 1 else ()


def _rule_path(work: Work, body: JsonObject) -> str:
    folder = work.question.project.settings.project.get("rules", ["rules"])[0]
    return work.free_path(str(PurePosixPath(folder) / "pulled"), str(body["name"]))


def _given_id(work: Work, rule: DetectionRule) -> bool:
    """Whether the rule has its id from `elastic.kibana.rule_id`, and is no variant."""
    block = _rule_document(work, rule).get("elastic") or {}
    return bool((block.get("kibana") or {}).get("rule_id") == rule.rule_id)


def _rule_document(work: Work, rule: DetectionRule) -> Any:
    """The document of a rule's file that holds it."""
    documents = work.edit(rule.provenance.path).documents
    for document in documents:
        if str(document.get("id", "")).lower() == rule.provenance.source_id:
            return document
    return documents[0]


def _lay_over(
    work: Work, path: str, rule: DetectionRule | None, body: JsonObject, fields: list[str]
) -> bool:
    assert rule is not None  # noqa: S101  # gaps are found on a compiled rule only
    assert path == rule.provenance.path  # noqa: S101  # its own file
    return lay_over(_rule_document(work, rule), _bare(body, work.question), fields)


def _retire(work: Work, rule: DetectionRule) -> None:
    """A rule that was deleted in Kibana is no longer deployed here."""
    document, asked = _rule_document(work, rule), work.question
    others = [name for name in asked.project.env_names if name != asked.env.name]
    block = document.setdefault("elastic", {})
    block["environments"] = [
        name for name in block.get("environments") or others if name != asked.env.name
    ]
    if not block["environments"]:
        del block["environments"]
        document["status"] = "deprecated"
