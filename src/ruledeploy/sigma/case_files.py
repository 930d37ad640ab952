"""Files of test cases, for rules whose own file should stay plain Sigma.

A file under `tests/detection/` holds documents of two keys: `rule`, an id or a title, and
`tests`, which is spelled as in a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ruledeploy.errors import Collector, RuleError
from ruledeploy.model import TestCase
from ruledeploy.sigma.cases import read_tests
from ruledeploy.sigma.reading import Reader, nearest
from ruledeploy.sigma.source import RuleHead
from ruledeploy.yamldoc import YamlDoc, load_all

_KEYS = ("rule", "tests")


def load_cases(
    files: Mapping[str, bytes], rules: Iterable[RuleHead]
) -> dict[str, tuple[TestCase, ...]]:
    """Cases by the Sigma id of their rule. Raises `Problems` for all that is wrong in any file."""
    names = {name: rule.id for rule in rules for name in (rule.title, rule.id)}
    cases: dict[str, tuple[TestCase, ...]] = {}
    errors = Collector()
    for path in sorted(files):
        with errors.collect():
            for doc in load_all(files[path], path):
                with errors.collect():
                    rule_id, found = _read(doc, names, errors)
                    cases[rule_id] = (*cases.get(rule_id, ()), *found)
    errors.raise_if_any()
    return cases


def _read(
    doc: YamlDoc, names: Mapping[str, str], errors: Collector
) -> tuple[str, tuple[TestCase, ...]]:
    if not isinstance(doc.value, Mapping):
        raise RuleError(
            "test cases are a mapping", location=doc.at(), hint="start with  rule: <id or title>"
        )
    reader = Reader(doc, errors, (), doc.value)
    reader.refuse_unknown(_KEYS)
    name = reader.text("rule")
    if name is None:
        reader.wrong("rule", "missing: whose cases are these?", "rule: <id or title>")
    elif name not in names:
        reader.wrong("rule", f"no rule has the id or title {name!r}", nearest(name, names))
    return names.get(name or "", ""), read_tests(reader)
