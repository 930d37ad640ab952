"""What an edit concerns: the file itself, and whatever speaks of what it defines."""

from __future__ import annotations

import pytest

from ruledeploy.verify.dependents import concerned
from support.content import RULE_ID

FILES = {
    "rules/a.yml": f"""\
title: Writers  # of memory
id: {RULE_ID}
name: writers
tags: [attack.defense_evasion, attack.t1055.002]
detection: {{s: {{a: b}}, condition: s}}
""",
    "rules/other.yml": "title: Other\ntags: [attack.t1003]\ndetection: {s: {a: b}, condition: s}\n",
    "rules/count.yml": "title: Many\ncorrelation:\n  rules:\n    - writers\n",
    "exceptions/base/by-id.yml": f"id: one\nrules: [{RULE_ID}]\n",
    "exceptions/base/by-title.yml": "id: two\nrules:\n- 'Writers'\n",
    "exceptions/base/by-tag.yml": "id: three\nrules: [tag:attack.t1055.002]\n",
    "exceptions/base/old-tag.yml": "id: four\nrules: [tag:attack.defense-evasion]\n",
    "exceptions/base/every.yml": "id: five\nrules: any\n",
    "exceptions/base/of-count.yml": "id: six\nrules: [Many]\n",
    "exceptions/dev/refines.yml": "id: six\nitems: []\n",
    "exceptions/base/list.yml": "id: seven\nitems: [{match: {f: {value_list: known}}}]\n",
    "exceptions/value_lists/known.txt": "x\n",
    "tests/detection/a.yml": f"rule: {RULE_ID}\ntests: []\n",
    "scenarios/own.yml": "id: attack/own\nlabel: attack\n",
    "exceptions/base/keeps.yml": "id: eight\nitems: [{keeps: [scenario:attack/own]}]\n",
}
OF_THE_RULE = {
    *(
        f"exceptions/base/{name}.yml"
        for name in ("by-id", "by-title", "by-tag", "old-tag", "every")
    ),
    "rules/count.yml",
    "tests/detection/a.yml",
}
OF_THE_COUNT = {"exceptions/base/of-count.yml", "exceptions/dev/refines.yml"}


@pytest.mark.parametrize(
    ("path", "dependents"),
    [
        ("rules/a.yml", OF_THE_RULE | OF_THE_COUNT),
        ("rules/count.yml", {"exceptions/base/every.yml"} | OF_THE_COUNT),
        ("rules/other.yml", {"exceptions/base/every.yml"}),
        ("exceptions/base/of-count.yml", {"exceptions/dev/refines.yml"}),
        ("exceptions/value_lists/known.txt", {"exceptions/base/list.yml"}),
        ("scenarios/own.yml", {"exceptions/base/keeps.yml"}),
    ],
)
def test_what_speaks_of_a_changed_file_depends_on_it(path: str, dependents: set[str]) -> None:
    """By id, title, name or tag, through other files too; the same when the file is deleted."""
    before = {name: text.encode() for name, text in FILES.items()}
    edited = {**before, path: before[path] + b"# edited\n"}
    assert concerned(before, edited) == {path, *dependents}
    deleted = {name: data for name, data in before.items() if name != path}
    assert concerned(before, deleted) == {path, *dependents}


def test_no_edit_concerns_nothing() -> None:
    """The same bytes."""
    files = {name: text.encode() for name, text in FILES.items()}
    assert concerned(files, dict(files)) == set()
