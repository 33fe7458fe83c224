"""What ``orca-cool models verify`` does: a model's files held against its networks, its
approximations measured, and its maps scored on a measured map, in one report.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orca_cool import __version__
from orca_cool.errors import ModelError, RegionError
from orca_cool.evaluate.options import EvaluationOptions
from orca_cool.files import atomic_write, check_output
from orca_cool.genome.regions import parse_position
from orca_cool.genome.source import SequenceSource, length_of
from orca_cool.locks import holding
from orca_cool.maps.weights import WEIGHT
from orca_cool.model.header import is_bundle
from orca_cool.model.registry import resolve
from orca_cool.prediction.job import Job, Opened, Say
from orca_cool.prediction.progress import progress_bar
from orca_cool.prediction.shared_job import silent

if TYPE_CHECKING:
    from orca_cool.evaluate.protocol import ModelEvaluation
    from orca_cool.evaluate.verification import Verification
    from orca_cool.model.network_spec import ModuleSpec
    from orca_cool.model.spec import ModelSpec

#: The chromosomes that the published models never saw.
TEST_CHROMS = ("chr9", "chr10")

#: Top windows that are scored at most, by default.
WINDOWS = 16

#: Part of a chromosome at which approximations are measured: of chr9 it lies outside the centromere
#: and the heterochromatin beside it.
PLACE = 0.75


@dataclass(frozen=True, kw_only=True)
class VerifyJob(Job):
    """Verify a model and write a report.

    Attributes
    ----------
    model : a model's name or folder; or the released files, a folder or a tar.
    genome : see :class:`~orca_cool.prediction.job.Job`; "": the shipped example, repeated, on which
        only approximations can be measured.
    output : the report (.json).
    observed : balanced .cool or .mcool, a measured map on which maps are scored; None: none are.
    clr_weight_name : column of its balancing weights.
    chroms : chromosomes that are scored.
    windows : top windows that are scored at most: of those of the paper's protocol every k-th.
    at : position at which approximations are measured, "chr9:110,404,000"; None: at three quarters
        of the first of ``chroms``, or of the genome's first chromosome.
    module : of the model; None: its first.
    name : of the released files: which model.
    force : replace the report if there is one.
    """

    genome: str = ""
    output: str
    observed: str | None = None
    clr_weight_name: str = WEIGHT
    chroms: tuple[str, ...] = TEST_CHROMS
    windows: int = WINDOWS
    at: str | None = None
    module: str | None = None
    name: str | None = None
    force: bool = False

    def check(self) -> None:
        """Raise what can be known to be wrong without opening anything."""
        super().check()
        check_output(Path(self.output), self.force)
        if self.windows < 1:
            raise RegionError(f"--windows {self.windows}: at least one window is scored")
        if (self.dtype, self.encoder_dtype) != ("float32", "float32") or self.edits:
            raise ModelError("a model is verified in float32, on a genome without edits")
        if self.observed is not None and not self.genome:
            raise ModelError(f"--map {self.observed!r} needs --genome, the sequence of that map")
        if self.at is not None and not self.genome:
            raise ModelError(f"--at {self.at!r} needs --genome, in which it lies")

    @cached_property
    def source(self) -> SequenceSource:
        """The genome, or the shipped example repeated to the length of the top window."""
        if self.genome:
            return super().source
        from orca_cool.genome.repeated import RepeatedExample

        top = self._module_spec.resolutions[0]
        return RepeatedExample(self.spec.window(top))

    def check_inputs(self) -> None:
        """Raise what the model's header and the genome tell, before torch is loaded."""
        _ = self._module_spec
        if self.observed is not None and self.cell_type is None and self.spec.cell_types:
            self.spec.check_cell_type("")  # a measured map is of one of them
        super().check_inputs()
        for chrom in self.chroms if self.observed is not None else ():
            length_of(self.source, chrom)
        _ = self._place

    @holding(lambda job: [job.output])
    def run(self, *, progress: bool = True, say: Say = silent) -> Verification:
        """Verify, and write the report.

        Parameters
        ----------
        progress : show progress bars. say : told what the user should know, line by line.

        Returns
        -------
        What was found; of a model whose tensors do not fit only what is known of its files.

        Raises
        ------
        OrcaCoolError
            If anything that the job names cannot be used; the message says which and why.
        """
        from orca_cool.evaluate.verification import Verification
        from orca_cool.model.verify import is_sound

        self.check()
        with self._files(progress) as (folder, files, name):
            about: dict[str, Any] = {"source": Path(self.model).name, **_versions()}
            if folder is None or not is_sound(files):
                found = Verification(name, files, about)
            else:
                job = dataclasses.replace(self, model=str(folder.absolute()))
                found = job._measured(name, files, about, progress, say)
        atomic_write(self.output, found.text())
        return found

    @contextmanager
    def _files(self, progress: bool) -> Iterator[tuple[Path | None, dict[str, Any], str]]:
        """The model's folder, what is known of its files, and its name; of released files the
        folder is made for the time being, unless their tensors do not fit.
        """
        from orca_cool.model import verify

        source = Path(self.model).expanduser()
        if not (source.exists() and not is_bundle(source) and verify.is_released(source)):
            if self.name is not None:
                raise ModelError(f"--name {self.name} is of released files; {self.model!r} is none")
            folder = resolve(self.model)
            with progress_bar(progress, "step", "files") as report:
                found = verify.verify_bundle(folder)
                report(1, 1)
            yield folder, found, verify.name_of(folder)
            return
        with tempfile.TemporaryDirectory(prefix="orca-cool-verify-") as temporary:
            with progress_bar(progress, "step", "files") as report:
                report(0, 3)
                there = verify.unpacked(source, Path(temporary))
                report(1, 3)
                name = verify.released_name(there, self.name)
                found, modules = verify.verify_released(there, name)
                report(2, 3)
                made = None
                if verify.is_sound(found):
                    made = verify.bundle_of(there, name, modules, Path(temporary) / "made")
                report(3, 3)
            yield made, found, name

    @property
    def _module_spec(self) -> ModuleSpec:
        spec: ModelSpec = self.spec  # type: ignore[assignment]
        return spec.module(self.module) if self.module else spec.modules[0]

    @cached_property
    def _place(self) -> tuple[str, int]:
        """Chromosome and position at which approximations are measured."""
        sizes = self.source.chromsizes
        if self.at is not None:
            return parse_position(self.at, sizes)
        chrom = next((c for c in self.chroms if c in sizes), next(iter(sizes)))
        return chrom, int(PLACE * sizes[chrom])

    def _measured(
        self, name: str, files: dict[str, Any], about: dict[str, Any], progress: bool, say: Say
    ) -> Verification:
        """The whole report of a model whose files are sound."""
        from orca_cool.evaluate.verification import Verification
        from orca_cool.prediction.every_error import every_error, kinds_elsewhere
        from orca_cool.prediction.kept_errors import processor
        from orca_cool.prediction.orca_engine import OrcaEngine
        from orca_cool.prediction.windows import by_root, centred_on, plan

        if self.spec.cell_types and self.cell_type is None and self.observed is None:
            job = dataclasses.replace(self, cell_type=self.spec.cell_types[0])
            return job._measured(name, files, about, progress, say)  # errors are of all maps
        # that the example is no assembly of the model's need not be told
        opened = self.ready(None, say if self.genome else silent)
        engine, module = opened.engine, self._module_spec
        assert isinstance(engine, OrcaEngine)
        evaluation = self._evaluation(opened)  # what is wrong with a map is told at once
        chrom, position = self._place
        length, spec = self.source.chromsizes[chrom], engine.spec
        levels = plan(
            length,
            module.resolutions,
            spec.bins,
            position,
            position + 1,
            centred_on(spec, self.source, chrom),
            module.multi_chromosome,
        )
        root = next(levels for levels in by_root(levels) if levels[-1])
        with progress_bar(progress, "step", "approximations", engine) as report:
            errors = every_error(engine, module, chrom, root, report)
        result = None
        if evaluation is not None:
            with progress_bar(progress, "window", "evaluate", engine) as report:
                result = evaluation.run(report)
        start = root[0][0].start * module.resolutions[0]
        end = start + spec.window(module.resolutions[0])
        device = engine.device.type
        genome = Path(self.genome).name if self.genome else self.source.name
        about |= {
            "model_digest": engine.digest,
            "module": module.name,
            "device": device,
            "processor": processor(),
            "accelerator": _accelerator(device),
            "sequence": {"genome": genome, "chrom": chrom, "start": start, "end": end},
        }
        labels = {r: spec.label(r) for r in module.resolutions}
        others = kinds_elsewhere(device)
        return Verification(name, files, about, errors, others, result, labels)

    def _evaluation(self, opened: Opened) -> ModelEvaluation | None:
        """Model and measured map, ready to be scored; None without a map."""
        from orca_cool.evaluate.protocol import ModelEvaluation, default_step, tiling_zooms

        if self.observed is None:
            return None
        against = EvaluationOptions(
            observed=self.observed,
            chroms=self.chroms,
            ceiling=False,
            clr_weight_name=self.clr_weight_name,
        )
        engine, module = opened.engine, self._module_spec
        base = engine.expected(module).resolution
        step = default_step(engine.spec.window(module.resolutions[0]), module, base)

        def count(k: int) -> int:
            zooms = tiling_zooms(engine, module, against.scored_chroms, base, k * step, 0)
            return sum(map(len, zooms.values()))

        return ModelEvaluation.open(
            engine,
            module,
            against,
            step=step * thinned(count, self.windows),
            edges=opened.zoom_edges,
        )


def thinned(count: Callable[[int], int], most: int) -> int:
    """The least k for which every k-th window is at most ``most`` windows; where there is none
    (each chromosome has its first and last), the least k with the fewest.

    Parameters
    ----------
    count : the number of windows for k.
    """
    best, fewest = 1, count(1)
    for k in range(2, fewest + 1):
        if fewest <= most:
            break
        if (there := count(k)) < fewest:
            best, fewest = k, there
    return best


def _versions() -> dict[str, Any]:
    import platform

    import torch

    return {
        "orca_cool": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _accelerator(device: str) -> str | None:
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else None
