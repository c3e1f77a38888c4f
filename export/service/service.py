"""The service's state: indexes that are read anew when they change, the networks of their encoders, what is counted."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from ...hub.errors import GoodviewsError, UsageError
from ...hub.identity import EncoderId
from ...hub.machine import cores
from ...hub.photo_encoder import PhotoEncoder
from ...hub.web import Refusal, Token
from ..index.image_index import ImageIndex
from ..index.item import Filter
from .batches import Batches
from .collection import Collection, generation_now
from .limits import Limits
from .metrics import Metrics
from .networks import Network
from .projection import Projection, project

log = logging.getLogger(__name__)

OpenEncoder = Callable[[ImageIndex], PhotoEncoder]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Served:
    """A state of an index, with the network of its encoder."""

    name: str
    collection: Collection
    network: Network
    batches: Batches
    maps: "dict[str, Future[Projection]]" = field(default_factory=dict)


class Service:
    """Indexes and networks of one server.

    Args:
        folders: of the indexes.
        open_encoder: finds the encoder of an index.
        token: that requests must carry; without a secret only this machine is answered.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        open_encoder: OpenEncoder,
        *,
        token: Token,
        limits: Limits | None = None,
    ):
        self.token, self.limits, self.metrics = token, limits or Limits(), Metrics()
        self._open_encoder = open_encoder
        self._networks: list[tuple[Network, Batches]] = []
        self._threads = ThreadPoolExecutor(max(2, cores()), thread_name_prefix="goodviews")
        self._served: dict[str, Served] = {}
        self._refused: dict[str, int | None] = {}  # states of indexes that could not be read: not tried again
        try:
            for name, folder in names_of(folders).items():
                self._served[name] = self._serve(name, Collection(folder))
        except BaseException:
            self.close()
            raise

    @property
    def names(self) -> list[str]:
        return list(self._served)

    def served(self, name: str) -> Served:
        """Raises:
        Refusal: 404, there is no such index.
        """
        if name not in self._served:
            raise Refusal(404, f"There is no index {name[:100]!r}; there are: {', '.join(self._served)}.")
        return self._served[name]

    def chosen(self, names: Sequence[str]) -> list[Served]:
        """The indexes of these names, of one encoder; the first one where none is named.

        Raises:
            Refusal: 404, there is no such index; 400, their vectors cannot be compared.
        """
        found = [self.served(name) for name in dict.fromkeys(names or self.names[:1])]
        if any(one.network is not found[0].network for one in found):
            raise Refusal(400, "These indexes are of different encoders, whose vectors cannot be compared; name one.")
        return found

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do something in a thread of the service's own, of which there are as many as cores."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def projection(self, served: Served) -> tuple[list[int], Projection]:
        """The ids that the map of an index shows and where they lie; computed once for each state of the index."""
        numbers = _sample(served.collection.select(Filter()).tolist(), self.limits.map_points)
        if "all" not in served.maps:
            served.maps["all"] = self._threads.submit(lambda: project(served.collection.vectors_of(numbers)))
        return numbers, await asyncio.wrap_future(served.maps["all"])

    def reload_changed(self) -> None:
        """Read the indexes that changed on disk; one that cannot be read stays as it was, and the log says why."""
        for name, served in list(self._served.items()):
            now = generation_now(served.collection.folder)
            if now in (None, served.collection.index.generation, self._refused.get(name)):
                continue
            try:
                self._served[name] = self._serve(name, Collection(served.collection.folder))
            except GoodviewsError as error:
                self._refused[name] = now
                self.metrics.reloads.labels(name, "failed").inc()
                log.warning("%s changed and cannot be read; its last state is served. %s", name, error)
            else:
                self.metrics.reloads.labels(name, "done").inc()
                log.info("%s changed: %d photos now", name, len(self._served[name].collection))

    async def watch(self, every_s: float) -> None:
        """Read indexes anew when they change, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.run(self.reload_changed)
            except Exception:  # whatever it is, the service goes on with what it has, and looks again
                log.exception("The indexes could not be looked at for changes; their last state is served.")

    def close(self) -> None:
        """Finish what is under way."""
        self._threads.shutdown(wait=True)
        for _, batches in self._networks:
            batches.close()
        self._networks.clear()

    def _serve(self, name: str, collection: Collection) -> Served:
        network, batches = self._network_of(collection)
        self.metrics.images.labels(name).set(len(collection))
        return Served(name, collection, network, batches)

    def _network_of(self, collection: Collection) -> tuple[Network, Batches]:
        for network, batches in self._networks:
            if is_same(collection.encoder, network.id):
                return network, batches
        network = Network(self._open_encoder(collection.index))
        collection.index.refuse_other(network.id)
        batches = Batches(network.embed, largest=self.limits.batch, observe=self.metrics.batch.observe)
        self._networks.append((network, batches))
        return network, batches


def is_same(one: EncoderId, other: EncoderId) -> bool:
    """Whether vectors of the two may be compared."""
    return not one.differences(other)


def names_of(folders: Sequence[Path]) -> dict[str, Path]:
    """A name for each index, that of its folder; a second one of the same name gets a number.

    Raises:
        UsageError: an index is named twice.
    """
    named: dict[str, Path] = {}
    for folder in folders:
        whole = folder.resolve()
        if whole in [path.resolve() for path in named.values()]:
            raise UsageError(f"{folder} is named twice; name each index once.")
        name, number = whole.name or "index", 2
        while name in named:
            name, number = f"{whole.name}-{number}", number + 1
        named[name] = folder
    return named


def _sample(numbers: list[int], most: int) -> list[int]:
    if len(numbers) <= most:
        return numbers
    chosen = np.random.default_rng(0).choice(len(numbers), most, replace=False)
    return [numbers[place] for place in sorted(chosen.tolist())]
