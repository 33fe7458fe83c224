"""What ``orca-cool encode`` does: the encodings of a genome, once and for all, on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orca_cool.errors import OutputError
from orca_cool.genome.regions import Region, parse_region
from orca_cool.model.registry import resolve
from orca_cool.prediction.job import Job, Opened, Say
from orca_cool.prediction.progress import progress_bar

#: Number types in which encodings are stored.
STORE_DTYPES = ("float16", "float32")


@dataclass(frozen=True, kw_only=True)
class EncodeJob(Job):
    """Encode both strands of a genome's chromosomes, and keep them in a store.

    Attributes
    ----------
    output : the store (.h5); one that exists is filled up.
    regions : UCSC strings; none: all chromosomes.
    store_dtype : number type on disk; None: float16, or what the store has.
    verify : first read every block that is there; damaged ones are encoded anew.
    force : delete the store that is there, and start anew.
    """

    output: str
    regions: tuple[str, ...] = ()
    store_dtype: str | None = None
    verify: bool = False
    force: bool = False

    def check(self) -> None:
        """Raise what can be known to be wrong before model and genome are opened."""
        super().check()
        resolve(self.model)  # ModelError of somebody else's, which this package cannot encode with
        if Path(self.output).is_dir():
            raise OutputError(f"the output {self.output!r} is a folder; give a file")

    def check_inputs(self) -> None:
        """Raise what the model's header and the genome tell, before torch is loaded."""
        super().check_inputs()
        self._regions(self.source.chromsizes)

    def _regions(self, chromsizes: Mapping[str, int]) -> list[Region]:
        return [parse_region(text, chromsizes) for text in self.regions]

    def run(
        self, opened: Opened | None = None, *, progress: bool = True, say: Say = lambda line: None
    ) -> Path:
        """Encode what is missing.

        A killed run goes on where it was when the same job is run again, and several processes may
        fill one store at the same time.

        Returns
        -------
        Path of the store.

        Raises
        ------
        OrcaCoolError
        """
        self.check()
        if opened is None:
            self.check_inputs()
        from orca_cool.encodings.cache import block_encoder
        from orca_cool.encodings.store import EncodingStore, build, verify
        from orca_cool.encodings.store.layout import is_store
        from orca_cool.model.bundle import load_bundle
        from orca_cool.prediction.device import resolve_device

        target = resolve_device(self.device)
        opened = opened or self.open(say)
        source, output = opened.reference, Path(self.output)
        bundle = load_bundle(resolve(self.model))
        chosen: list[Region] | None = self._regions(source.chromsizes)
        if self.force and output.exists():
            if not is_store(output):
                raise OutputError(
                    f"{output} exists and is not a store of encodings; choose another name"
                )
            EncodingStore.delete(output)
        name = bundle.spec.name
        with EncodingStore.open(
            output, bundle.model.encoder, source, model_name=name, dtype=self.store_dtype
        ) as store:
            if self.verify:
                with progress_bar(progress, "bp", "verify") as report:
                    damaged = verify(store, chosen or None, report)
                for block in damaged:
                    say(f"damaged: {block}")
                say(f"{len(damaged)} damaged block{'s' if len(damaged) != 1 else ''}")
            encoder = bundle.model.encoder.to(target).eval()
            with progress_bar(progress, "bp", name) as report:
                build(store, block_encoder(encoder, source, target), chosen or None, report)
        return output
