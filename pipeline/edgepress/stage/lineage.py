"""Describe results by options alone, before anything runs: for what `validate` refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.presets import PresetName
from ..data.facts import DataFacts
from ..models.description import Network
from .artifact import Kind

if TYPE_CHECKING:
    from .contract import Stage


@dataclass(frozen=True)
class Lineage:
    """A result that options alone describe: the stage that makes it, its kind, and the results that it is made from.

    `sources` has them by name; the one that the stage works on is `input`.
    """

    stage: Stage
    kind: Kind
    sources: Mapping[str, Lineage]

    @property
    def origin(self) -> Lineage:
        """Return the result whose network it has: of a pruned one, the one before pruning."""
        source = self.sources.get(self.stage.same_network_as() or "")
        return source.origin if source else self

    @property
    def network(self) -> Network | None:
        """Return the network that its options describe; None of an ensemble, a file, a pruned or an own network."""
        network = self.unpruned
        return network if network and self.pruned is False and not network.own else None

    @property
    def unpruned(self) -> Network | None:
        """Return the network before any pruning, an own one too; None of an ensemble or a file."""
        networks = self.origin.stage.networks()
        plain = self.kind == "torch" and not self.origin.stage.joins_networks
        return networks[0] if plain and len(networks) == 1 else None

    @property
    def pruned(self) -> bool | None:
        """Return whether its network is pruned; None of a file that is loaded."""
        if self.stage.family == "prune":
            return True
        source = self.sources.get(self.stage.same_network_as() or "")
        return source.pruned if source else None if self.stage.family == "load" else False

    @property
    def quantized(self) -> bool:
        """Return whether a stage before it, or its own, quantizes it."""
        sources = (source for source in self.sources.values() if source.kind == "onnx")
        return self.kind == "onnx" and (self.stage.family == "quantize" or any(each.quantized for each in sources))


@dataclass(frozen=True)
class Setting:
    """The surroundings of a stage as options describe them: its sources, the data, and the targets' integer formats.

    `presets` has the name of the target that needs each.
    """

    sources: Mapping[str, Lineage]
    data: DataFacts
    presets: Mapping[PresetName, str]
