"""Sigma: rules and selections in, queries out. The only package that imports pySigma.

Here is what works without pySigma, which loads slowly; the rest is imported from its module:
`convert`, `correlation`, `selection`, `explain`, `lint`.
"""

from __future__ import annotations

from ruledeploy.sigma.attack import severity, threat
from ruledeploy.sigma.case_files import load_cases
from ruledeploy.sigma.elastic import ElasticBlock, Variant
from ruledeploy.sigma.filters import targets as filter_targets
from ruledeploy.sigma.load import load_file, load_rules, note_text, without_repeats
from ruledeploy.sigma.match import FieldMatch, Pattern, Wildcard
from ruledeploy.sigma.reading import refusing
from ruledeploy.sigma.references import References, by_reference, references
from ruledeploy.sigma.source import LogSource, RuleHead, RuleSource, RuleSources

__all__ = [
    "ElasticBlock",
    "FieldMatch",
    "LogSource",
    "Pattern",
    "References",
    "RuleHead",
    "RuleSource",
    "RuleSources",
    "Variant",
    "Wildcard",
    "by_reference",
    "filter_targets",
    "load_cases",
    "load_file",
    "load_rules",
    "note_text",
    "references",
    "refusing",
    "severity",
    "threat",
    "without_repeats",
]
