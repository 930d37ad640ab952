"""JUnit XML, the form that CI servers read, from plain results."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

# What XML 1.0 cannot hold, even escaped: controls, lone surrogates, two non-characters.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One test case of a suite; a `failure` makes it fail, and says why."""

    suite: str
    classname: str
    name: str
    path: str
    line: int
    failure: str = ""


def junit(name: str, cases: Iterable[Case]) -> str:
    """A whole document: `testsuites` by `suite`, in order of first appearance.

    Attributes are those of the Jenkins schema, and `file` and `line`, which GitLab reads.
    """
    suites: dict[str, list[Case]] = {}
    for case in cases:
        suites.setdefault(case.suite, []).append(case)
    everything = [case for suite in suites.values() for case in suite]
    counts = _counts(everything)
    del counts["skipped"]  # of a suite alone
    root = ET.Element("testsuites", {"name": _legal(name), **counts})
    for title, inner in suites.items():
        suite = ET.SubElement(root, "testsuite", {"name": _legal(title), **_counts(inner)})
        for case in inner:
            _append(suite, case)
    ET.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{head}\n{ET.tostring(root, encoding='unicode')}\n"


def _append(suite: ET.Element, case: Case) -> None:
    element = ET.SubElement(
        suite,
        "testcase",
        classname=_legal(case.classname),
        name=_legal(case.name),
        file=_legal(case.path),
        line=str(case.line),
    )
    if case.failure:
        failure = ET.SubElement(element, "failure", message=_legal(case.failure))
        failure.text = _legal(f"{case.path}:{case.line}: {case.failure}")


def _counts(cases: list[Case]) -> dict[str, str]:
    failures = sum(bool(case.failure) for case in cases)
    return {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "skipped": "0"}


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
