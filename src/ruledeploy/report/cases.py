"""Results of test cases as text, GitHub annotations, JUnit and Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

from rich.text import Text

from ruledeploy.report.findings import github as finding_lines
from ruledeploy.report.junit import Case
from ruledeploy.report.junit import junit as document
from ruledeploy.report.terminal import console, table


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


def junit(results: Iterable[Mapping[str, Any]]) -> str:
    """JUnit XML: a suite per environment, a class per rule."""
    cases = (
        Case(
            suite=result["env"],
            classname=result["rule"],
            name=result["case"],
            path=result["path"],
            line=result["line"],
            failure=result["why"],
        )
        for result in results
    )
    return document("ruledeploy test", cases)


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """Counts by environment, then every failure with its place and reason."""
    lines = ["| environment | passed | failed |", "|---|---|---|"]
    for env in dict.fromkeys(result["env"] for result in results):
        outcomes = [result["outcome"] for result in results if result["env"] == env]
        lines.append(f"| {env} | {outcomes.count('pass')} | {outcomes.count('fail')} |")
    for result in results:
        if result["outcome"] == "fail":
            head = f"**{result['env']}: {result['rule']}** — {result['case']}"
            lines += ["", f"{head} (`{result['path']}:{result['line']}`)", "", f"> {result['why']}"]
    return "\n".join(lines) + "\n"


def print_scores(scores: Iterable[Mapping[str, Any]], stream: IO[str] | None = None) -> None:
    """Precision and recall by environment and rule, then attacks and techniques nobody sees."""
    out = console(stream)
    for score in scores:
        out.print(Text(f"{score['env']} on labelled events", "bold"))
        shown = table("rule", "attacks", "benign", "hidden", "precision", "recall")
        for rule in score["rules"]:
            seen = f" ({rule['seen']} of {rule['claimed']})" if rule["claimed"] else ""
            shown.add_row(
                rule["name"],
                str(rule["attack"]),
                str(rule["benign"]),
                str(rule["hidden"]),
                _share(rule["precision"]),
                f"{_share(rule['recall'])}{seen}",
            )
        shown.add_row(
            "all", "", "", "", _share(score["precision"]), _share(score["recall"]), style="bold"
        )
        out.print(shown)
        unseen = [
            one for one in score["scenarios"] if one["label"] == "attack" and not one["alerting"]
        ]
        for one in unseen:
            why = f", {one['hidden']} events hidden by allowlists" if one["hidden"] else ""
            techniques = ", ".join(one["techniques"])
            out.print(Text(f"  unseen: {one['scenario']} ({techniques}){why}", "red"))
        if score["blind_techniques"]:
            out.print(Text(f"  blind to: {', '.join(score['blind_techniques'])}", "red"))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
