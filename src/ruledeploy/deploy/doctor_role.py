"""The least role that suffices for a project, as the body of `PUT /_security/role/<name>`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# The feature that guards rules, by server: 8.19; 9.x before and after rules were split off. A
# role may name a feature that a server lacks; it then grants nothing there.
_FEATURES = ("feature_siemV2.all", "feature_siemV5.all", "feature_securitySolutionRulesV4.all")
# Connectors are used, never made.
_ACTIONS = "feature_actions.read"


def minimal_role(project: str, space: str, patterns: Sequence[str]) -> dict[str, Any]:
    """Rules, exceptions and connectors in one space; reading what the rules search; the records.

    `read` on the rules' indices is there because a rule runs with the rights of whoever enabled
    it.
    """
    indices: list[dict[str, Any]] = [
        {
            "names": [f"ruledeploy-{project.lower()}"],
            "privileges": ["create_index", "read", "write", "view_index_metadata"],
        },
        {
            "names": [
                f".lists-{space}", f".items-{space}", f".alerts-security.alerts-{space}",
            ],
            "privileges": ["read", "write", "view_index_metadata", "maintenance"],
        },
    ]  # fmt: skip
    if patterns:
        read = {"names": list(patterns), "privileges": ["read", "view_index_metadata"]}
        indices.append(read)
    return {
        "cluster": ["manage_own_api_key"],
        "indices": indices,
        "applications": [
            {
                "application": "kibana-.kibana",
                "privileges": [*_FEATURES, _ACTIONS],
                "resources": [f"space:{space}"],
            }
        ],
    }
