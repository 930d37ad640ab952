"""Sigma: rules and selections in, queries out. The only package that imports pySigma."""

from __future__ import annotations

from ruledeploy.sigma.match import FieldMatch, Pattern, Wildcard
from ruledeploy.sigma.selection import parse_selection

__all__ = ["FieldMatch", "Pattern", "Wildcard", "parse_selection"]
