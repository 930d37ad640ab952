"""Events that happened, in files or on a cluster, and who answers questions about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
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
    Kept,
    Load,
    Source,
    Summarizer,
    Tables,
    Window,
    bundled_table,
)
from ruledeploy.engine.again import documents_with

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_PAGE = 1000
# So many events of files are in memory at once, for as few passes over them as that takes.
AT_ONCE = 50_000


class Asked(Engine, Summarizer, Protocol):
    """An engine that also sums up."""


@dataclass(frozen=True, slots=True)
class Sought:
    """The events that one rule wants to see again: their ids, and where the rule looks."""

    indices: tuple[str, ...]
    ids: Collection[str]


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

    @property
    def tables(self) -> Tables:
        """The field tables of the environment, by index."""
        ...

    def events(self, sought: Iterable[Sought]) -> Iterator[dict[str, Document]]:
        """The events of each, by id and in order; those that are gone are left out."""
        ...


@dataclass(frozen=True, slots=True)
class FilePast:
    """NDJSON files, gzipped or not, or folders of them.

    `kept` is for those who ask so often that reading the files once into columns pays.
    """

    paths: tuple[Path, ...]
    window: Window | None = None
    jobs: int = 1
    tables: Tables = bundled_table
    kept: Kept | None = field(default=None, compare=False)

    @property
    def engine(self) -> Asked:
        """The embedded engine."""
        return EmbeddedEngine(self.tables, jobs=self.jobs, kept=self.kept)

    @property
    def source(self) -> Source:
        """The files."""
        return Files(self.paths)

    def events(self, sought: Iterable[Sought]) -> Iterator[dict[str, Document]]:
        """Those events, by reading the files once more for as many rules as fit."""
        for some, wanted in _batches(sought):
            again = documents_with(wanted, Files(self.paths)) if wanted else ()
            found = {one.id: one for one in again}
            yield from ({key: found[key] for key in one.ids if key in found} for one in some)


def _batches(sought: Iterable[Sought]) -> Iterator[tuple[list[Sought], set[str]]]:
    """Rules, and the ids they want between them, until there are `AT_ONCE` of those."""
    some: list[Sought] = []
    wanted: set[str] = set()
    for one in sought:
        some.append(one)
        wanted.update(one.ids)
        if len(wanted) >= AT_ONCE:
            yield some, wanted
            some, wanted = [], set()
    yield some, wanted


@dataclass(frozen=True, slots=True)
class ClusterPast:
    """The indices that each rule searches, on a cluster."""

    client: Elasticsearch
    window: Window
    url: str = "elasticsearch"
    load: Load = field(default_factory=Load)
    tables: Tables = bundled_table

    @property
    def engine(self) -> Asked:
        """The cluster itself."""
        return ElasticsearchEngine(self.client, url=self.url, load=self.load)

    @property
    def source(self) -> Source:
        """Each rule's own indices."""
        return Indices()

    def events(self, sought: Iterable[Sought]) -> Iterator[dict[str, Document]]:
        """Those events, rule by rule and page by page."""
        for one in sought:
            yield {found.id: found for found in self._pages(one)}

    def _pages(self, sought: Sought) -> Iterator[Document]:
        """Of no index there is no event: Elasticsearch would take that for all of them."""
        wanted, index = sorted(sought.ids) if sought.indices else [], ",".join(sought.indices)
        for start in range(0, len(wanted), _PAGE):
            some = wanted[start : start + _PAGE]
            query = {"ids": {"values": some}}
            answer = self.client.search(
                index=index, query=query, size=len(some), ignore_unavailable=True
            )
            for hit in answer["hits"]["hits"]:
                yield Document(hit["_index"], hit["_id"], hit["_source"])
