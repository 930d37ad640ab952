"""Findings as SARIF 2.1.0, the form that code hosts show in pull requests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif(findings: Sequence[Mapping[str, Any]], version: str) -> dict[str, Any]:
    """One run of ruledeploy; each code is a rule of the driver, each finding a result.

    Paths are relative to the content repository (`uriBaseId` `%SRCROOT%`). The fingerprint leaves
    the line out, so that a finding stays the same when text above it moves.
    """
    codes = sorted({finding["code"] for finding in findings})
    driver = {
        "name": "ruledeploy",
        "version": version,
        "rules": [{"id": code, "shortDescription": {"text": _title(code)}} for code in codes],
    }
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, codes.index(finding["code"])) for finding in findings],
            }
        ],
    }


def _title(code: str) -> str:
    return code.replace("-", " ").capitalize()


def _result(finding: Mapping[str, Any], index: int) -> dict[str, Any]:
    hint = f" → {finding['hint']}" if finding["hint"] else ""
    known = "\0".join((finding["path"], finding["code"], finding["message"]))
    return {
        "ruleId": finding["code"],
        "ruleIndex": index,
        "level": _LEVELS[finding["severity"]],
        "message": {"text": finding["message"] + hint},
        "locations": [{"physicalLocation": _place(finding)}],
        "partialFingerprints": {
            "ruledeploy/v1": hashlib.sha256(known.encode("utf-8", "replace")).hexdigest()
        },
    }


def _place(finding: Mapping[str, Any]) -> dict[str, Any]:
    region = {"startLine": finding["line"] or 1}
    if finding["column"]:
        region["startColumn"] = finding["column"]
    uri = quote(finding["path"].encode("utf-8", "surrogateescape"), safe="/")
    return {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": region}
