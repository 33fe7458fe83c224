"""The predicted genomes of a process that computes units for a server: those that are served, and
edited ones, which it opens as they are asked for.
"""

from __future__ import annotations

from collections import OrderedDict

import torch

from higlass_plugin.compute.cache import Cache
from higlass_plugin.compute.predicted import PredictedGenome
from higlass_plugin.compute.urgent import Urgent
from higlass_plugin.registry.address import Address, parse_url
from higlass_plugin.registry.edited_genomes import OpenEdit, like_of, open_edit
from higlass_plugin.registry.limits import Limits
from higlass_plugin.registry.served import ServedModels


class OpenGenomes:
    """Predicted genomes by their addresses; an
    :class:`OpenGenomes <higlass_plugin.compute.process.OpenGenomes>`.

    Parameters
    ----------
    served : the models on the reference.
    roots, urgent : theirs; see :class:`~higlass_plugin.compute.predicted.PredictedGenome`.
    device : where their networks run.
    limits : how many edited genomes stay open; the least recently used ones are closed.
    """

    def __init__(
        self,
        served: ServedModels,
        roots: Cache,
        urgent: Urgent,
        device: torch.device,
        limits: Limits,
    ):
        self.served, self.device = served, device
        self._roots, self._urgent, self._limits = roots, urgent, limits
        self._edits: OrderedDict[Address, OpenEdit] = OrderedDict()

    @property
    def encoded(self) -> tuple[int, int]:
        engines = [predicted.engine for _, _, predicted in self.served.each()]
        caches = [getattr(engine, "encodings", None) for engine in engines]
        held = sum(cache.nbytes for cache in caches if cache is not None)
        return sum(engine.encoded_bp for engine in engines), held

    def predicted(self, url: str) -> PredictedGenome:
        """The predicted genome of the ``orca://`` URL of a map in its own coordinates."""
        address = parse_url(url)
        base = self.served.predicted(address)
        if not address.edited:
            return base
        if address not in self._edits:
            like = like_of(address, self._edits.values())
            self._edits[address] = open_edit("", address, base, self._roots, self._urgent, like)
        self._edits.move_to_end(address)
        while len(self._edits) > self._limits.edits + self._limits.guest_edits:
            self._close(self._edits.popitem(last=False)[1].predicted)
        return self._edits[address].predicted

    def _close(self, gone: PredictedGenome) -> None:
        self._roots.drop(lambda key: key[0] is gone)
