"""Which events a rule matches, and which of them its exceptions suppress.

Two engines behind one protocol: `EmbeddedEngine` evaluates in this process, `ElasticsearchEngine`
lets a cluster do it. The first is held to the second by a differential test.
"""

from __future__ import annotations

from ruledeploy.engine.elastic import ElasticsearchEngine
from ruledeploy.engine.embedded import EmbeddedEngine, bundled_table, tables_of
from ruledeploy.engine.kept import Kept
from ruledeploy.engine.protocol import (
    Document,
    Engine,
    EngineRule,
    Files,
    Hits,
    Indices,
    Memory,
    Shape,
    Source,
    Summarizer,
    Summary,
    Window,
)
from ruledeploy.engine.questions import Load
from ruledeploy.engine.rules import Tables

__all__ = [
    "Document",
    "ElasticsearchEngine",
    "EmbeddedEngine",
    "Engine",
    "EngineRule",
    "Files",
    "Hits",
    "Indices",
    "Kept",
    "Load",
    "Memory",
    "Shape",
    "Source",
    "Summarizer",
    "Summary",
    "Tables",
    "Window",
    "bundled_table",
    "tables_of",
]
