"""JSON Schemas of rule files and of files of test cases, from the tables their readers use."""

from __future__ import annotations

from ruledeploy.model import JsonObject
from ruledeploy.sigma.cases import CASE_SCHEMA
from ruledeploy.sigma.elastic import ELASTIC_SCHEMA
from ruledeploy.sigma.load import LEVELS, STATUSES
from ruledeploy.sigma.reading import MAPPING, TEXT, TEXTS, one_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def rule_schema() -> JsonObject:
    """A Sigma document with our `elastic:` and `tests:`; other keys are Sigma's to define."""
    cases = {"type": "array", "items": CASE_SCHEMA}
    return {
        "$schema": DIALECT,
        "title": "Sigma rule for ruledeploy",
        "type": "object",
        "required": ["title"],
        "properties": {
            "title": TEXT,
            "id": {"type": "string", "format": "uuid"},
            "name": TEXT,
            "status": one_of(STATUSES),
            "level": {"enum": [word for each in LEVELS for word in (each, each.capitalize())]},
            "description": TEXT,
            "author": TEXT,
            "date": TEXT,
            "license": TEXT,
            "tags": TEXTS,
            "references": TEXTS,
            "falsepositives": TEXTS,
            "fields": TEXTS,
            "logsource": MAPPING,
            "detection": MAPPING,
            "correlation": MAPPING,
            "filter": MAPPING,
            "elastic": ELASTIC_SCHEMA,
            "tests": cases,
        },
    }


def case_file_schema() -> JsonObject:
    """A file below `tests/detection/`: the rule, and its cases."""
    return {
        "$schema": DIALECT,
        "title": "ruledeploy test cases",
        "type": "object",
        "required": ["rule"],
        "properties": {"rule": TEXT, "tests": {"type": "array", "items": CASE_SCHEMA}},
        "additionalProperties": False,
    }
