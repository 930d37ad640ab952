"""Index templates with the true mappings of each family, for a cluster without the packages."""

from __future__ import annotations

from collections.abc import Collection

from ruledeploy.errors import ConfigError
from ruledeploy.fields import load_table
from ruledeploy.model import JsonObject

# Above Elasticsearch's own template for `logs-*-*`, which has 100, and Fleet's, which has 200.
_PRIORITY = 400
# The default of 1000 is too few for the table of all ECS fields.
_FIELDS_LIMIT = 5000


def index_templates(families: Collection[str]) -> dict[str, JsonObject]:
    """Bodies for `PUT _index_template/<name>`, by name; each makes data streams of its family.

    Raises `ConfigError` for a family we do not know, and for `ecs`, whose pattern is everything.
    """
    if "ecs" in families:
        raise ConfigError(
            "the family 'ecs' has no index of its own", hint="name a shipper's family"
        )
    return {f"ruledeploy-{family}": _template(family) for family in sorted(set(families))}


def _template(family: str) -> JsonObject:
    table = load_table(family)
    return {
        "index_patterns": [table.index],
        "data_stream": {},
        "priority": _PRIORITY,
        "template": {
            "settings": {"index.mapping.total_fields.limit": _FIELDS_LIMIT},
            "mappings": table.mappings(),
        },
    }
