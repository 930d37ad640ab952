"""HTTP client for Kibana's Detection Engine API: endpoints and errors, no plan, no Sigma."""

from __future__ import annotations

from ruledeploy.kibana.client import Found, Kibana
from ruledeploy.kibana.connection import Connection
from ruledeploy.kibana.http import Peer, Query
from ruledeploy.kibana.requests import ITEMS, LISTS, RULES, VALUE_LISTS, VALUES, Endpoint, Request

__all__ = [
    "ITEMS",
    "LISTS",
    "RULES",
    "VALUES",
    "VALUE_LISTS",
    "Connection",
    "Endpoint",
    "Found",
    "Kibana",
    "Peer",
    "Query",
    "Request",
]
