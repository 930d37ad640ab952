"""Results of test cases as text, and as GitHub annotations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

from rich.text import Text

from ruledeploy.report.findings import github as finding_lines
from ruledeploy.report.terminal import console


def print_results(results: Sequence[Mapping[str, Any]], stream: IO[str] | None = None) -> None:
    """A line per case, by environment and rule, failures explained; then the count."""
    out = console(stream)
    heading: tuple[str, str] | None = None
    for result in sorted(results, key=lambda each: (each["env"], each["rule"])):
        if heading != (result["env"], result["rule"]):
            heading = (result["env"], result["rule"])
            out.print(Text(f"{result['env']}: {result['rule']}", "bold"))
        passed = result["outcome"] == "pass"
        out.print(
            Text(f"  {'ok' if passed else 'FAILED'}  ", "green" if passed else "bold red"), end=""
        )
        out.print(Text(result["case"]))
        if not passed:
            out.print(Text(f"      {result['path']}:{result['line']}: {result['why']}"))
    failed = sum(result["outcome"] == "fail" for result in results)
    out.print(Text(f"{len(results) - failed} passed, {failed} failed", "bold"))


def github(results: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Workflow commands for the failing cases."""
    for result in results:
        if result["outcome"] == "fail":
            finding = {
                "severity": "error",
                "code": f"test {result['env']}",
                "message": f"{result['rule']}: {result['case']}: {result['why']}",
                "path": result["path"],
                "line": result["line"],
                "hint": None,
            }
            yield from finding_lines([finding])
