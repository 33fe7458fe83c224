"""The description of a piece of long work: a model, a genome and how it is edited, as plain values.

Whatever takes long (predicting regions, scoring variants, evaluating a model) is a class of its own
room that adds its own settings to :class:`Job`. The command line, Python, dask workers and the
ranks of torchrun all make such an object and call it, so that all of them do the same. Nothing here
imports torch before :meth:`Job.open` is called.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from orca_cool.errors import EditError, ModelError
from orca_cool.genome.open import SHIPPED, open_genome
from orca_cool.genome.source import SequenceSource
from orca_cool.model.assembly import agreed_assembly
from orca_cool.model.named import (
    absolute_name,
    described,
    is_foreign,
    open_named,
    require_no_device,
)
from orca_cool.model.spec import ModelDescription
from orca_cool.model.window_model import ENCODE
from orca_cool.prediction import EDGES, WINDOW_DTYPES, WINDOW_STORE_SIZE
from orca_cool.prediction.chosen import output_of_cell_type
from orca_cool.prediction.number_types import Choice, NumberTypes, check_types
from orca_cool.prediction.plain_values import rebuilt
from orca_cool.prediction.window_store import WindowStore, check_window_store
from orca_cool.profile import stage, staged
from orca_cool.variants.options import Edited, EditOptions, edited_genome, provenance_of

if TYPE_CHECKING:
    from orca_cool.model.window_model import WindowModel
    from orca_cool.prediction.engine import Engine

logger = logging.getLogger(__name__)

#: Bytes of first-tier encodings kept in memory where many edits in one place are predicted.
MANY_EDITS = 2**30

#: What is worth telling the user while a job runs, one line at a time.
Say = Callable[[str], None]

J = TypeVar("J", bound="Job")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A model on a genome, and where and how it runs. All values are plain, so that a job can be
    sent to another process (:meth:`to_json`) and kept in the metadata of what it made.

    Attributes
    ----------
    model : a model's name (``orca-cool models list``) or its folder; or a model of somebody else,
        ``FILE.py:NAME`` or the name of an entry point (:mod:`orca_cool.model.foreign`).
    genome : FASTA (plain or bgzip), .2bit, or the name of a shipped genome.
    cell_type : one of the model's; None: its only one, or each of them in turn
        (:meth:`each_cell_type`).
    chrom_names : "add-chr", "strip-chr" or a two-column TSV by which chromosomes are renamed.
    any_genome : accept a genome of another assembly than the model's.
    edits : how the genome is edited before anything is predicted.
    reencode : encode an edited genome anew, bit for bit as its FASTA would be encoded; otherwise
        what the edits leave untouched is taken from the reference's encodings.
    device : "auto", "cpu", "cuda", "cuda:N" or "mps".
    dtype, encoder_dtype : number types of decoders and encoder; all but "float32" approximate, and
        give way to it where they are slower (:mod:`orca_cool.prediction.number_types`).
    force_dtype : take them all the same.
    settled : the two that another process of the same run has settled on.
    store : file of encodings to read from and add to (``orca-cool encode``).
    edges : one of :data:`orca_cool.prediction.EDGES`; None: the default of the kind of work.
    window_store : file of decoded windows to read from and add to
        (:class:`orca_cool.prediction.window_store.WindowStore`).
    window_store_dtype : "float32"; with "float16" all windows are rounded to it.
    window_store_size : gigabytes that the file takes at most.
    """

    model: str
    genome: str
    cell_type: str | None = None
    chrom_names: str | None = None
    any_genome: bool = False
    edits: EditOptions = field(default_factory=EditOptions)
    reencode: bool = False
    device: str = "auto"
    dtype: str = "float32"
    encoder_dtype: str = "float32"
    force_dtype: bool = False
    settled: tuple[str, str] | None = None
    store: str | None = None
    edges: str | None = None
    window_store: str | None = None
    window_store_dtype: str = WINDOW_DTYPES[0]
    window_store_size: float = WINDOW_STORE_SIZE

    def check(self) -> None:
        """Raise what can be known to be wrong without opening anything.

        Raises
        ------
        EditError, DeviceError, ModelError, StoreError
        """
        self.edits.require_consistent()
        if self.reencode and not self.edits:
            raise EditError("--reencode is about an edited genome; it needs --edit or --vcf")
        check_types(self.dtype, self.encoder_dtype, self.force_dtype)
        if self.edges is not None and self.edges not in EDGES:
            raise ModelError(f"edges {self.edges!r} are not known; use {' or '.join(EDGES)}")
        check_window_store(self.window_store, self.window_store_dtype, self.window_store_size)

    @cached_property
    def spec(self) -> ModelDescription:
        """The model's specification, read from its header alone."""
        return described(self.model)

    @cached_property
    def source(self) -> SequenceSource:
        """The genome as it is in its file."""
        return open_genome(self.genome, self.chrom_names)

    def agreed(self, value: Callable[[], T]) -> T:
        """What is the same for all processes that share the job, made once."""
        return value()

    def check_inputs(self) -> None:
        """Raise what the model's header and the genome tell, before torch is loaded.

        Raises
        ------
        ModelError, GenomeError, RegionError
            If one of them cannot be read, the genome is another assembly than the model's (without
            ``any_genome``), or one of them lacks what the job names.
        """
        if self.cell_type is not None:
            self.spec.check_cell_type(self.cell_type)
        if is_foreign(self.model):
            require_no_device(self.spec, self.device)
        agreed_assembly(self.spec, self.source, self.any_genome)

    def each_cell_type(self: J) -> list[J]:
        """The job once for each cell type whose maps are wanted, with an output of its own: of
        "X.mcool" "X.<cell type>.mcool". Only itself where one is chosen, or the model has but one.
        """
        if self.cell_type is not None or not self.spec.cell_types:
            return [self]
        changes: list[dict[str, Any]] = [{"cell_type": name} for name in self.spec.cell_types]
        if output := getattr(self, "output", None):
            for change in changes:
                change["output"] = output_of_cell_type(output, change["cell_type"])
        return [dataclasses.replace(self, **change) for change in changes]

    @staged("opening")
    def open(self, say: Say = logger.warning) -> Opened:
        """Load the model, open the genome, hold them against each other, and make the edits.

        Parameters
        ----------
        say : called with what the user should know: an assembly that is not certain, variants that
            are not applied.

        Raises
        ------
        OrcaCoolError
            If any of them cannot be used; the message says which and why.
        """
        self.check()
        with stage("libraries"):
            from orca_cool.model.bundle import Model

        model = open_named(self.model)
        if self.cell_type is not None and isinstance(model, Model):
            model = model.for_cell_type(self.cell_type)
        return Opened.of(self, model, self.source, say)

    def without_stores(self: J) -> J:
        """The same job with nothing at hand from before, for an estimate."""
        return dataclasses.replace(
            self,
            store=None,
            window_store=None,
            window_store_dtype=WINDOW_DTYPES[0],
            window_store_size=WINDOW_STORE_SIZE,
        )

    def ready(self, opened: Opened | None, say: Say) -> Opened:
        """What :meth:`run` begins with: all is checked, the cheapest first, then model and genome
        are opened.

        Parameters
        ----------
        opened : the job's model and genome, if they are open already; they are not checked again.
        say : see :meth:`open`.

        Raises
        ------
        OrcaCoolError
            If anything about the job is wrong.
        """
        self.check()
        if opened is not None:
            return opened
        self.check_inputs()
        return self.open(say)

    def standalone(self: J) -> J:
        """The same job for a process in another working folder: all paths are absolute."""
        genome = self.genome if self.genome in SHIPPED else str(Path(self.genome).absolute())
        names = self.chrom_names
        if names is not None and Path(names).exists():
            names = str(Path(names).absolute())

        def absolute(path: str | None) -> str | None:
            return None if path is None else str(Path(path).absolute())

        return dataclasses.replace(
            self,
            model=absolute_name(self.model),
            genome=genome,
            chrom_names=names,
            store=absolute(self.store),
            window_store=absolute(self.window_store),
            edits=self.edits.standalone(),
        )

    def to_json(self) -> str:
        """The job as JSON text; :meth:`from_json` reads it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls: type[J], text: str) -> J:
        """A job from :meth:`to_json`'s text."""
        job: J = rebuilt(cls, json.loads(text))
        return job


@dataclass
class Opened:
    """A job whose model and genome are open.

    Attributes
    ----------
    job : what was opened.
    model : the model.
    reference : the genome as it is in its file.
    assembly : its name, for files. known : the model was trained on this assembly.
    edited : the edited genome, or None.
    say : called with what the user should know, line by line.
    choice : the number types that the run computes in, once they are chosen.
    """

    job: Job
    model: WindowModel
    reference: SequenceSource
    assembly: str
    known: bool
    edited: Edited | None
    say: Say = logger.warning
    choice: Choice = field(default_factory=Choice)

    @classmethod
    def of(cls, job: Job, model: WindowModel, reference: SequenceSource, say: Say) -> Opened:
        """Hold a genome against a model, and edit it; see :meth:`Job.open`."""
        spec = model.spec
        assembly, warning = agreed_assembly(spec, reference, job.any_genome)
        if warning is not None:
            say(f"warning: {warning}")
        known = assembly in spec.assemblies
        edited = None
        if job.edits:
            edited = edited_genome(job.edits, reference, assembly if known else None)
            for line in edited.warnings():
                say(line)
        return cls(job, model, reference, assembly, known, edited, say)

    def for_cell_type(self, job: Job) -> Opened:
        """The same for another cell type of the model: engines that there are share their networks
        and encodings.

        Parameters
        ----------
        job : as this one's, but for its ``cell_type`` and output.
        """
        assert job.cell_type is not None
        other = dataclasses.replace(self, job=job, model=self.model.for_cell_type(job.cell_type))  # type: ignore[attr-defined]
        for name in ("reference_engine", "engine"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name].for_cell_type(job.cell_type)
        return other

    @property
    def spec(self) -> ModelDescription:
        """The model's bins, levels and names."""
        return self.model.spec

    @property
    def source(self) -> SequenceSource:
        """The genome that is predicted: the edited one, if it is edited."""
        return self.reference if self.edited is None else self.edited.genome

    @property
    def zoom_edges(self) -> str:
        """What a zoom reads beyond the ends of its windows: what the job asks for, else nothing, as
        the released program has it; a model that predicts whole windows by itself reads on.
        """
        as_released = ENCODE in self.model.capabilities
        return self.job.edges or (EDGES[1] if as_released else EDGES[0])

    def require_long_enough(self, finest: int) -> None:
        """EditError if the edits leave less of a chromosome than one bin of ``finest`` bp."""
        for contig in () if self.edited is None else self.edited.genome.edited:
            if (length := self.source.chromsizes[contig]) < finest:
                raise EditError(
                    f"the edits leave {length:,} bp of {contig!r}, less than one bin of "
                    f"{finest:,} bp; leave out that level, or edit otherwise"
                )

    @property
    def file_assembly(self) -> str:
        """Name of the predicted genome's assembly; an edited one has a fingerprint behind it."""
        if self.edited is None:
            return self.assembly
        return f"{self.assembly}.{self.edited.fingerprint}"

    @property
    def provenance(self) -> dict[str, Any]:
        """Plain values that say, in the metadata of a file, what it was made from."""
        return self.reference_provenance | self._edits_told()

    @property
    def reference_provenance(self) -> dict[str, Any]:
        """The same of the reference."""
        about = {"model_name": self.spec.name, "genome_file": Path(self.job.genome).name}
        return about | ({"cell_type": self.spec.cell_type} if self.spec.cell_types else {})

    def _edits_told(self) -> dict[str, Any]:
        if self.edited is None:
            return {}
        return provenance_of(self.edited, self.job.edits, self.assembly, self.job.reencode)

    @staged("opening")
    def new_engine(self, source: SequenceSource, *, fine_bytes: int = 0) -> Engine:
        """An engine of its own for a genome, on the job's device."""
        with stage("libraries"):
            from orca_cool.prediction.engine import make_engine

        job, types = self.job, self.number_types
        encodes = ENCODE in self.model.capabilities
        return make_engine(
            self.model,
            source,
            # one of several processes has a device of its own, which only networks of ours obey
            job.device if encodes else "auto",
            types.dtype,
            encoder_dtype=types.encoder_dtype,
            asked=types.given_up(job),
            store=job.store,
            edges=job.edges or EDGES[0],
            reuse=not job.reencode,
            fine_bytes=fine_bytes if encodes else 0,
            window_store=self.window_store,
        )

    @cached_property
    def window_store(self) -> WindowStore | None:
        """The store of windows that is read from and added to."""
        job = self.job
        if job.window_store is None:
            return None
        return WindowStore(
            job.window_store, dtype=job.window_store_dtype, size=job.window_store_size
        )

    @property
    def number_types(self) -> NumberTypes:
        """What the networks compute in; chosen once a run."""
        return self.choice.of(self.job, self.model, self.say)

    @cached_property
    def reference_engine(self) -> Engine:
        """Predicts the reference. Its encodings serve the edited genome too."""
        return self.new_engine(self.reference)

    @cached_property
    def engine(self) -> Engine:
        """Predicts the genome of the job, edited or not."""
        if self.edited is None:
            return self.reference_engine
        if self.job.reencode:
            return self.new_engine(self.edited.genome)
        return self.reference_engine.for_genome(self.edited.genome)
