"""Findings as text, as GitHub annotations, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

from rich.text import Text

from ruledeploy.report.junit import Case
from ruledeploy.report.terminal import console

_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def print_findings(findings: Sequence[Mapping[str, Any]], stream: IO[str] | None = None) -> None:
    """One block per finding: place, severity, code, message, way out; then the count."""
    out = console(stream)
    text = Text()
    for finding in findings:
        text.append(f"{place(finding)}: ")
        text.append(finding["severity"], _STYLES[finding["severity"]])
        text.append(f" [{finding['code']}] {finding['message']}\n")
        if finding["hint"]:
            text.append(f"  → {finding['hint']}\n", "dim")
    text.append(count(findings), "bold")
    if out.is_terminal:
        out.print(text)
    else:
        # Thousands of findings in a log need no styles, and styling them takes seconds.
        out.file.write(f"{text.plain}\n")


def as_cases(findings: Iterable[Mapping[str, Any]]) -> list[Case]:
    """Findings as JUnit's test cases, one for each code and file: what is an error fails."""
    said: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for finding in findings:
        said.setdefault((finding["path"], finding["code"]), []).append(finding)
    return [
        Case(
            suite="check",
            classname=path,
            name=code,
            path=path,
            line=group[0]["line"] or 1,
            failure="\n".join(
                f"{place(finding)}: {finding['message']}"
                for finding in group
                if finding["severity"] == "error"
            ),
        )
        for (path, code), group in said.items()
    ]


def place(finding: Mapping[str, Any]) -> str:
    """`path:line:column`, leaving out what is unknown."""
    parts = [finding["path"], finding["line"], finding["column"]]
    return ":".join(str(part) for part in parts if part)


def count(findings: Iterable[Mapping[str, Any]]) -> str:
    """Such as `1 error, 2 warnings`; `nothing to report` when there is none."""
    counts = Counter(finding["severity"] for finding in findings)
    names = (("error", "errors"), ("warning", "warnings"), ("info", "remarks"))
    words = [
        f"{counts[name]} {many if counts[name] != 1 else many.removesuffix('s')}"
        for name, many in names
        if counts[name]
    ]
    return ", ".join(words) or "nothing to report"


def github(findings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Workflow commands that GitHub shows on the lines of a pull request."""
    levels = {"error": "error", "warning": "warning", "info": "notice"}
    for finding in findings:
        message = finding["message"] + (f" → {finding['hint']}" if finding["hint"] else "")
        where = f"file={_property(finding['path'])},line={finding['line'] or 1}"
        head = f"::{levels[finding['severity']]} {where},title={_property(finding['code'])}"
        yield f"{head}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
