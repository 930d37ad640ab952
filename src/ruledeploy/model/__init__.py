"""The nouns, frozen: what the stages hand to one another."""

from __future__ import annotations

from ruledeploy.model.environment import Connector, Environment, ExceptionPolicy, Secret
from ruledeploy.model.event import Event, Label, event_id, value_of
from ruledeploy.model.finding import Finding, Severity
from ruledeploy.model.jsonvalue import JsonObject, canonical, digest
from ruledeploy.model.release import (
    DetectionRule,
    ExceptionItem,
    ExceptionList,
    PrebuiltLinks,
    Provenance,
    Release,
    ValueList,
)
from ruledeploy.model.testcase import Expectation, TestCase

__all__ = [
    "Connector",
    "DetectionRule",
    "Environment",
    "Event",
    "ExceptionItem",
    "ExceptionList",
    "ExceptionPolicy",
    "Expectation",
    "Finding",
    "JsonObject",
    "Label",
    "PrebuiltLinks",
    "Provenance",
    "Release",
    "Secret",
    "Severity",
    "TestCase",
    "ValueList",
    "canonical",
    "digest",
    "event_id",
    "value_of",
]
