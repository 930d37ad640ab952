"""JUnit XML: well-formed whatever the texts, and counted right."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from ruledeploy.report.cases import junit as of_results
from ruledeploy.report.junit import Case, junit
from support.junit_schema import violations

_TEXTS = st.text(st.characters(), max_size=20)  # lone surrogates and controls too
_CASES = st.builds(
    Case, st.sampled_from(["dev", "prod"]), _TEXTS, _TEXTS, _TEXTS, st.integers(0), _TEXTS
)


@given(_TEXTS, st.lists(_CASES, max_size=6))
def test_any_text_gives_a_well_formed_document(name: str, cases: list[Case]) -> None:
    """A parser reads it, and the counts are those of the cases."""
    root = ET.fromstring(junit(name, cases).encode())  # noqa: S314 - our own document
    assert root.attrib["tests"] == str(len(cases)) == str(len(root.findall(".//testcase")))
    failing = sum(bool(case.failure) for case in cases)
    assert root.attrib["failures"] == str(failing) == str(len(root.findall(".//failure")))
    per_suite = [int(suite.attrib["tests"]) for suite in root.findall("testsuite")]
    assert sum(per_suite) == len(cases)
    assert violations(root) == []


def test_a_failure_tells_its_place_and_reason() -> None:
    """What a CI server shows beside the name of the case."""
    result = {
        "env": "prod",
        "rule": "Writes <memory>",
        "case": "a & b",
        "outcome": "fail",
        "why": "1 of 1 events do not alert",
        "path": "rules/write.yml",
        "line": 30,
    }
    root = ET.fromstring(of_results([result]).encode())  # noqa: S314 - our own document
    (case,) = root.iter("testcase")
    assert case.attrib == {
        "classname": "Writes <memory>",
        "name": "a & b",
        "file": "rules/write.yml",
        "line": "30",
    }
    failure = case.find("failure")
    assert failure is not None
    assert failure.text == "rules/write.yml:30: 1 of 1 events do not alert"


def test_the_schema_does_look() -> None:
    """An attribute, a child and an order that it does not have, and a name that it asks for."""
    document = (
        '<testsuites skipped="0"><testsuite tests="1"><testcase name="a"><failure/><skipped/>'
        "</testcase><other/></testsuite></testsuites>"
    )
    said = violations(ET.fromstring(document))  # noqa: S314 - our own document
    assert said == [
        "testsuites: skipped",
        "testsuite lacks name",
        "testsuite: <other>",
        "testcase: <skipped> after <failure>",
    ]
