"""pySigma's own validators, as findings: those that need no network and say something useful.

Left out are those that look ATT&CK and D3FEND up on the network (`attack` has its tables here), and
those about SigmaHQ's file names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from sigma.rule import SigmaDetectionItem, SigmaRule
from sigma.validators.base import (
    SigmaRuleValidator,
    SigmaValidationIssue,
    SigmaValidationIssueSeverity,
)
from sigma.validators.core import validators

from ruledeploy.errors import Location, RuledeployError
from ruledeploy.model import Finding
from ruledeploy.model.finding import Severity
from ruledeploy.sigma.load import load_file
from ruledeploy.sigma.reading import refusing
from ruledeploy.sigma.source import RuleSource

VALIDATORS = (
    "all_of_them_condition",
    "cartag",
    "control_character",
    "cvetag",
    "dangling_detection",
    "detection_tag",
    "double_wildcard",
    "duplicate_references",
    "duplicate_tag",
    "escaped_wildcard",
    "invalid_modifier_combinations",
    "namespace_tag",
    "number_as_string",
    "specific_instead_of_generic_logsource",
    "stptag",
    "tag_format",
    "them_condition_with_single_detection",
    "tlptag",
    "wildcards_instead_of_modifiers",
)
_SEVERITIES: Mapping[SigmaValidationIssueSeverity, Severity] = {
    SigmaValidationIssueSeverity.LOW: "info",
    SigmaValidationIssueSeverity.MEDIUM: "warning",
    SigmaValidationIssueSeverity.HIGH: "warning",
}


def lint_file(path: str, data: bytes) -> tuple[Finding, ...]:
    """What pySigma's validators say of each rule of a file; nothing of what does not load."""
    found: dict[Finding, None] = {}
    for source in load_file(path, data).rules:
        if source.kind == "rule" and source.raw.get("detection"):
            found |= dict.fromkeys(_lint(source))
    return tuple(found)


def _lint(source: RuleSource) -> Iterable[Finding]:
    try:
        with refusing(source.location):
            rule = SigmaRule.from_dict(_as_pysigma_has_it(source), collect_errors=True)
            checks: list[SigmaRuleValidator] = [validators[name]() for name in VALIDATORS]
            return [_finding(issue, source) for check in checks for issue in check.validate(rule)]
    except RuledeployError:
        return ()  # compiling says what is wrong with it


def _as_pysigma_has_it(source: RuleSource) -> dict[str, Any]:
    """The document in today's spelling, without our own keys."""
    ours = {key: value for key, value in source.raw.items() if key not in {"elastic", "tests"}}
    return {**ours, "tags": list(source.tags)}


def _finding(issue: SigmaValidationIssue, source: RuleSource) -> Finding:
    name = type(issue).__name__.removesuffix("Issue")
    code = "sigma-" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
    about = ", ".join(_details(issue))
    message = issue.description + (f": {about}" if about else "")
    return Finding(_SEVERITIES[issue.severity], code, message, _place(issue, source))


def _details(issue: SigmaValidationIssue) -> Iterator[str]:
    """What the issue names beside its rule."""
    for each in fields(issue):
        value = getattr(issue, each.name)
        if each.name == "rules" or value is None:
            continue
        if isinstance(value, SigmaDetectionItem):
            yield str(value.field or "a keyword")
        elif isinstance(value, list | tuple | set):
            yield " ".join(sorted(_word(one) for one in value))
        else:
            yield _word(value)


def _word(value: object) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def _place(issue: SigmaValidationIssue, source: RuleSource) -> Location:
    doc, given = source.doc, {f.name: getattr(issue, f.name) for f in fields(issue)}
    if "detection_name" in given:
        return doc.at("detection", given["detection_name"])
    if "tag" in given and str(given["tag"]) in source.tags:
        return doc.at("tags", source.tags.index(str(given["tag"])))
    if "string" in given:
        return _place_of_value(source, str(given["string"]))
    item = given.get("detection_item")
    if isinstance(item, SigmaDetectionItem):
        return _place_of_field(source, str(item.field))
    condition = "Condition" in type(issue).__name__
    return doc.at("detection", "condition") if condition else source.location


def _place_of_field(source: RuleSource, field: str) -> Location:
    for keys, _ in _lines(source.raw["detection"], ("detection",)):
        if str(keys[-1]).partition("|")[0] == field:
            return source.doc.at(*keys)
    return source.doc.at("detection")


def _place_of_value(source: RuleSource, text: str) -> Location:
    """The line whose value the string was made of: modifiers only add to its ends."""
    bare = text.strip("*")
    for keys, value in _lines(source.raw["detection"], ("detection",)):
        if any(bare in str(each) for each in (value if isinstance(value, list) else [value])):
            return source.doc.at(*keys)
    return source.doc.at("detection")


def _lines(value: Any, keys: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every `field: value` of a detection with the keys that lead to it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key != "condition":
                yield from _lines(inner, (*keys, str(key)))
    elif isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        for number, inner in enumerate(value):
            yield from _lines(inner, (*keys, number))
    else:
        yield keys, value
