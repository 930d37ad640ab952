"""Alerting's names for the types of detection rules, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class AlertingType(NamedTuple):
    """`siem.queryRule`, Custom Query Rule."""

    id: str
    category: str


ALERTING_TYPES: Mapping[str, AlertingType] = {
    "eql": AlertingType("siem.eqlRule", "Event Correlation Rule"),
    "esql": AlertingType("siem.esqlRule", "ES|QL Rule"),
    "machine_learning": AlertingType("siem.mlRule", "Machine Learning Rule"),
    "new_terms": AlertingType("siem.newTermsRule", "New Terms Rule"),
    "query": AlertingType("siem.queryRule", "Custom Query Rule"),
    "saved_query": AlertingType("siem.savedQueryRule", "Saved Query Rule"),
    "threat_match": AlertingType("siem.indicatorRule", "Indicator Match Rule"),
    "threshold": AlertingType("siem.thresholdRule", "Threshold Rule"),
}
