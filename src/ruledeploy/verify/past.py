"""Events that happened, in files or on a cluster, and who answers questions about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ruledeploy.engine import (
    Document,
    ElasticsearchEngine,
    EmbeddedEngine,
    Engine,
    Files,
    Indices,
    Load,
    Source,
    Summarizer,
    Window,
)
from ruledeploy.engine.sources import documents

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_PAGE = 1000


class Asked(Engine, Summarizer, Protocol):
    """An engine that also sums up."""


class Past(Protocol):
    """Events of a time gone by. `engine` answers for `source` within `window`."""

    @property
    def engine(self) -> Asked:
        """Who answers."""
        ...

    @property
    def source(self) -> Source:
        """Where the events are."""
        ...

    @property
    def window(self) -> Window | None:
        """The time looked at; None is all."""
        ...

    def events(self, indices: tuple[str, ...], ids: Collection[str]) -> Iterator[Document]:
        """The events of some ids, in no particular order; `indices` are where a rule looks."""
        ...


@dataclass(frozen=True, slots=True)
class FilePast:
    """NDJSON files, gzipped or not, or folders of them."""

    paths: tuple[Path, ...]
    window: Window | None = None
    jobs: int = 1

    @property
    def engine(self) -> Asked:
        """The embedded engine."""
        return EmbeddedEngine(jobs=self.jobs)

    @property
    def source(self) -> Source:
        """The files."""
        return Files(self.paths)

    def events(self, indices: tuple[str, ...], ids: Collection[str]) -> Iterator[Document]:  # noqa: ARG002 - files have no index
        """Those events, by reading the files again."""
        wanted = frozenset(ids)
        return (one for one in documents(self.source) if one.id in wanted)


@dataclass(frozen=True, slots=True)
class ClusterPast:
    """The indices that each rule searches, on a cluster."""

    client: Elasticsearch
    window: Window
    url: str = "elasticsearch"
    load: Load = field(default_factory=Load)

    @property
    def engine(self) -> Asked:
        """The cluster itself."""
        return ElasticsearchEngine(self.client, url=self.url, load=self.load)

    @property
    def source(self) -> Source:
        """Each rule's own indices."""
        return Indices()

    def events(self, indices: tuple[str, ...], ids: Collection[str]) -> Iterator[Document]:
        """Those events, page by page."""
        wanted = sorted(ids)
        for start in range(0, len(wanted), _PAGE):
            some = wanted[start : start + _PAGE]
            answer = self.client.search(
                index=",".join(indices), query={"ids": {"values": some}}, size=len(some)
            )
            for hit in answer["hits"]["hits"]:
                yield Document(hit["_index"], hit["_id"], hit["_source"])
