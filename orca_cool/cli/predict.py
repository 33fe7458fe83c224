"""``orca-cool predict``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from orca_cool.cli.common import assembly_of
from orca_cool.cli.edits import edit_options, say_problems
from orca_cool.effects.companion_outputs import companion_path, is_result_of, write_companions
from orca_cool.effects.difference import require_comparable
from orca_cool.effects.lift import COPIES
from orca_cool.effects.reference_coordinates import reference_regions
from orca_cool.errors import EditError, ModelError, OutputError, RegionError
from orca_cool.files import check_output
from orca_cool.genome.open import open_genome
from orca_cool.genome.regions import Region, parse_region, read_view
from orca_cool.genome.source import SequenceSource
from orca_cool.model.bundle import load_bundle
from orca_cool.model.registry import resolve
from orca_cool.model.spec import ModelSpec, ModuleSpec
from orca_cool.prediction.device import resolve_device
from orca_cool.prediction.engine import DTYPES, EDGES, ENCODER_DTYPES, Engine
from orca_cool.prediction.levels import Settings
from orca_cool.prediction.parallel.ranks import Ranks
from orca_cool.prediction.to_file import predict_to_file, prepare, work_folder
from orca_cool.prediction.windows import Window, by_root, plan
from orca_cool.prediction.zoom_files import zoom_to_files
from orca_cool.variants.options import EditOptions, edited_genome, provenance_of


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("regions", nargs=-1)
@click.option(
    "--model",
    "-m",
    required=True,
    help="A model's name (see `orca-cool models list`) or its folder.",
)
@click.option(
    "--genome",
    "-g",
    required=True,
    help="FASTA (plain or bgzip), .2bit, or the name of a shipped genome (`example`).",
)
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="The .mcool; expected tables appear beside it.",
)
@click.option("--view", type=click.Path(path_type=Path), help="Regions from a BED3/BED4 file.")
@click.option(
    "--at",
    "position",
    help="One zoom around a position, as Orca's own: chr9:110,404,000. Writes .npz and .mcool.",
)
@click.option(
    "--levels",
    help="Comma-separated resolutions (4000) or windows (1M); default: all of the modules used.",
)
@click.option(
    "--module",
    "modules",
    help="Comma-separated modules of the model (32M, 256M, 1M); default: all that the levels need.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--dtype",
    default="float32",
    show_default=True,
    type=click.Choice(DTYPES),
    help="Of the decoders; tf32 (GPU) and bfloat16 approximate.",
)
@click.option(
    "--encoder-dtype",
    default="float32",
    show_default=True,
    type=click.Choice(ENCODER_DTYPES),
    help="tf32 and float16 (GPU) approximate.",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Encodings on disk (`orca-cool encode`): read from it, and add to it what it lacks.",
)
@click.option(
    "--edges",
    type=click.Choice(EDGES),
    help="Ends of windows: real sequence goes on, or zero padding at their ends [default: real; "
    "zero-padded with --at].",
)
@click.option(
    "--snap",
    is_flag=True,
    help="With --at: move to the nearest base bin, where stored encodings serve; says by how much.",
)
@click.option(
    "--mode",
    default="regularised",
    show_default=True,
    type=click.Choice(["regularised", "contact"]),
    help="Which number to store.",
)
@click.option(
    "--pseudo-depth",
    default=1e5,
    show_default=True,
    type=click.FloatRange(min=1),
    help="N: count = N * frequency.",
)
@click.option(
    "--fill-distance",
    type=click.IntRange(min=1),
    help="bp out to which coarser levels fill finer ones [default: each level's band].",
)
@click.option(
    "--trans",
    is_flag=True,
    help="Also contacts between chromosomes, at the coarsest level of a 256M-type module.",
)
@click.option(
    "--strand_difference",
    is_flag=True,
    help="Store half the difference of the two strands' predictions in a column `strand_difference`.",
)
@edit_options
@click.option(
    "--assembly",
    help="Name of the assembly in the file [default: the genome's; of an edited genome with a "
    "fingerprint].",
)
@click.option(
    "--reencode",
    is_flag=True,
    help="Encode an edited genome anew, bit for bit as its FASTA would be; re-use differs by "
    "rounding.",
)
@click.option(
    "--lift-to-reference",
    "lift",
    is_flag=True,
    help="Also write OUT.lifted.mcool: the edited genome's contacts at the coordinates "
    "of the reference.",
)
@click.option(
    "--copies",
    type=click.Choice(COPIES),
    help="At those coordinates, what a duplicated bin shows of its copies [default: mean].",
)
@click.option(
    "--diff",
    is_flag=True,
    help="Also write OUT.diff.mcool: ln(alternate / reference) at the coordinates of the "
    "reference.",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    help="With --diff: the reference's prediction [default: made as OUT.reference.mcool].",
)
@click.option(
    "--chrom-names", help="add-chr, strip-chr or a two-column TSV: rename the genome's chromosomes."
)
@click.option(
    "--any-genome", is_flag=True, help="Accept a genome of another assembly than the model's."
)
@click.option(
    "--dask",
    metavar="WHERE",
    help="Compute on dask workers: local:N processes, slurm:N jobs (as dask-jobqueue is "
    "configured), tcp://host:port, or a scheduler "
    "file (.json). The output must be on a file system that all of them see. For several GPUs of "
    "one machine also: "
    "torchrun --nproc-per-node N -m orca_cool predict ...",
)
@click.option(
    "--force", is_flag=True, help="Replace the output, and start anew instead of resuming."
)
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def predict(
    regions: tuple[str, ...],
    model: str,
    genome: str,
    output: Path,
    view: Path | None,
    position: str | None,
    levels: str | None,
    modules: str | None,
    device: str,
    dtype: str,
    encoder_dtype: str,
    store: Path | None,
    edges: str | None,
    snap: bool,
    mode: str,
    pseudo_depth: float,
    fill_distance: int | None,
    trans: bool,
    strand_difference: bool,
    edits: EditOptions,
    assembly: str | None,
    reencode: bool,
    lift: bool,
    copies: str | None,
    diff: bool,
    reference: Path | None,
    chrom_names: str | None,
    any_genome: bool,
    dask: str | None,
    force: bool,
    quiet: bool,
) -> None:
    """Predict contact maps of REGIONs (chrII, chrII:100,000-500,000; default: all chromosomes) as
    an .mcool.

    With --edit, --vcf or --seqstr the genome is edited first: REGIONs are of the edited genome
    (default: its edited chromosomes).

    A killed run goes on where it was when the same command is repeated, on one process or several.
    """
    if output.suffix != ".mcool":
        raise OutputError(f"the output {str(output)!r} must end in .mcool")
    _require_edits(edits, reencode, lift, copies, diff, reference)
    if reencode and store is not None and diff and reference is None:
        raise EditError(
            f"with --reencode the store {str(store)!r} is of the edited genome; for --diff give "
            f"the --reference's prediction"
        )
    beside = [companion_path(output, "lifted")] * lift + [companion_path(output, "diff")] * diff
    again = (
        bool(beside) and output.exists() and not force
    )  # left by a killed run, or by one that was not asked for these
    for path in beside if again else [output, *beside]:
        check_output(path, force)
    ranks = Ranks.from_environment()
    if ranks is not None:
        if dask is not None:
            raise OutputError(
                f"--dask {dask!r} and torchrun are two ways to share the work; choose one"
            )
        device = ranks.device_name(device)
    if dask is None:
        resolve_device(device)
    bundle = load_bundle(resolve(model))
    spec = bundle.spec
    original = open_genome(genome, chrom_names)
    known = assembly_of(spec, original, any_genome)
    names = (
        tuple(spec.module(name.strip()).name for name in modules.split(",")) if modules else None
    )
    wanted = _levels(spec, levels, names)
    settings = Settings(wanted, fill_distance, names, mode, pseudo_depth, trans, strand_difference)
    # further arguments of Engine: plain values, paths as Path
    engine_options: dict[str, Any] = {
        "encoder_dtype": encoder_dtype,
        "edges": edges or "real",
        "store": store,
    }
    origin = {"model_name": spec.name, "genome_file": Path(genome).name}
    source, provenance, edited = original, origin, None
    if edits:
        engine_options["reuse"] = not reencode
        edited = edited_genome(edits, original, known if known in spec.assemblies else None)
        if ranks is None or ranks.rank == 0:
            say_problems(edited.problems)
        source, provenance = edited.genome, origin | provenance_of(edited, edits, known, reencode)
        for contig in edited.genome.edited:
            if source.chromsizes[contig] < min(wanted):
                raise EditError(
                    f"the edits leave {source.chromsizes[contig]:,} bp of {contig!r}, less than "
                    f"one bin of {min(wanted):,} bp; "
                    "leave out that level, or edit otherwise"
                )
    file_assembly = assembly or (known if edited is None else f"{known}.{edited.fingerprint}")

    def make(source: SequenceSource) -> Engine:
        if (
            dask is not None
        ):  # this process merges what others compute, perhaps on a machine without their devices
            return Engine(bundle, source, "cpu")
        return Engine(bundle, source, device, dtype, **engine_options)

    base = (
        make(original) if edited is not None and not reencode else None
    )  # whose encodings are used again
    engine = make(source) if base is None or edited is None else base.for_genome(edited.genome)
    if position is not None:
        if regions or view or trans:
            raise RegionError(
                f"--at {position!r} predicts one zoom; leave out regions, --view and --trans"
            )
        if dask or ranks:
            raise RegionError(f"--at {position!r} predicts one zoom; leave out --dask and torchrun")
        if beside:
            raise RegionError(
                f"--at {position!r} predicts one zoom; leave out --lift-to-reference and --diff"
            )
        chrom, place = _position(position, source.chromsizes)
        module = next(
            (
                m
                for m in spec.modules
                if (names is None or m.name in names) and set(wanted) <= set(m.resolutions)
            ),
            None,
        )
        if module is None:
            module = spec.module(names[0]) if names else spec.modules[0]
            wanted = tuple(r for r in wanted if r in module.resolutions)
            settings = Settings(wanted, None, names, mode, pseudo_depth, False, strand_difference)
        if snap:
            place = _snap(chrom, place, spec, source)
        with tqdm(
            disable=quiet, file=sys.stderr, desc=spec.name, bar_format="{desc}: {elapsed}{postfix}"
        ) as bar:
            _watch(engine, bar)
            maps = engine.zoom(module, chrom, place, edges or "zero-padded")
        roots = by_root(
            plan(source.chromsizes[chrom], module.resolutions, spec.bins, place, place + 1)
        )
        _say_error(engine, module, chrom, next(levels for levels in roots if levels[-1]))
        written = zoom_to_files(
            engine,
            module,
            maps,
            settings,
            output,
            assembly=file_assembly,
            provenance={**provenance, "at": place},
            force=force,
        )
        for path in written:
            click.echo(path)
        return

    chosen = [parse_region(text, source.chromsizes) for text in regions]
    if view is not None:
        chosen += read_view(view, source.chromsizes)
    if not chosen:
        chosen = [
            Region(c, 0, source.chromsizes[c])
            for c in (source.chromsizes if edited is None else edited.genome.edited)
        ]
        if not chosen:
            raise EditError(
                "the edits change nothing: the sequence is the same; name REGIONs to predict it "
                "all the same"
            )
        if edited is not None and (ranks is None or ranks.rank == 0):
            click.echo(
                f"predicting what is edited, {', '.join(r.chrom for r in chosen[:10])}; name "
                f"REGIONs to predict others",
                err=True,
            )
    numbers = {"dtype": dtype, "encoder_dtype": encoder_dtype, "edges": edges or "real"}

    def run(
        engine: Engine,
        chosen: list[Region],
        output: Path,
        assembly: str,
        provenance: dict[str, Any],
        edits: EditOptions | None,
    ) -> list[Path]:
        """Predict regions; nothing is written by a rank that only helps."""
        crew: Any = contextlib.nullcontext()
        if dask is not None:
            from orca_cool.prediction.parallel.cluster import Dask, Job

            job = Job.of(
                bundle.path,
                genome,
                chrom_names,
                device,
                dtype,
                engine_options,
                chosen,
                settings,
                assembly,
                provenance,
                work_folder(output),
                edits,
            )
            crew = Dask(dask, job)
        elif ranks is not None and engine.source is source:
            crew = ranks
        with crew as others:
            if ranks is not None and ranks.rank > 0:
                whole = prepare(engine, chosen, settings, assembly=assembly, provenance=provenance)
                ranks.work(engine, whole, work_folder(output))
                return []
            with tqdm(unit="window", disable=quiet, file=sys.stderr, desc=spec.name) as bar:
                _watch(engine, bar)
                if dask is None:
                    steps = prepare(
                        engine, chosen, settings, assembly=assembly, provenance=provenance
                    ).steps
                    first = next(
                        step for step in steps if step.levels[-1] and step.region is not None
                    )
                    _say_error(
                        engine, first.module, str(first.region and first.region.chrom), first.levels
                    )

                def show(done: int, total: int) -> None:
                    bar.total = total
                    bar.update(done - bar.n)

                return predict_to_file(
                    engine,
                    chosen,
                    settings,
                    output,
                    assembly=assembly,
                    provenance=provenance,
                    force=force,
                    progress=show,
                    crew=others,
                )

    if not beside or edited is None:
        paths = run(engine, chosen, output, file_assembly, provenance, edits or None)
    else:
        # settled before anything is computed: what is there already, and where the regions came
        # from
        whole = prepare(engine, chosen, settings, assembly=file_assembly, provenance=provenance)
        reach = max(band * r for r, band in whole.written.items() if r in wanted)
        came_from = reference_regions(edited.genome, whole.regions, reach, join=True)
        if not came_from:
            raise EditError(
                f"no part of {', '.join(map(str, whole.regions))} comes from the reference; "
                f"leave out --lift-to-reference and --diff"
            )
        if again and not is_result_of(output, whole, numbers):
            raise OutputError(
                f"{output} exists, and is another prediction than this; use --force to replace it"
            )
        if reference is not None:
            require_comparable(
                reference, wanted, original.chromsizes, {**whole.identity, "mode": mode}
            )
        theirs = reference or companion_path(output, "reference")
        make_theirs = diff and reference is None
        if make_theirs:
            base = base or make(original)
            its = prepare(base, came_from, settings, assembly=known, provenance=origin)
            if theirs.exists() and not force and is_result_of(theirs, its, numbers):
                make_theirs = False
            else:
                check_output(theirs, force)
        paths = [] if again else run(engine, chosen, output, file_assembly, provenance, edits)
        if ranks is not None and ranks.rank > 0:
            return
        if make_theirs and base is not None:
            paths += run(base, came_from, theirs, known, origin, None)
        paths += write_companions(
            output, edited.genome, known, copies or COPIES[0], theirs if diff else None, beside
        )
    for path in paths:
        click.echo(path)


def _require_edits(
    edits: EditOptions,
    reencode: bool,
    lift: bool,
    copies: str | None,
    diff: bool,
    reference: Path | None,
) -> None:
    """EditError if an option needs another that is not given."""
    edits.require_consistent()
    given = {"--reencode": reencode, "--lift-to-reference": lift, "--diff": diff}
    for option, there in given.items():
        if there and not edits:
            raise EditError(
                f"{option} is about an edited genome; it needs --edit, --vcf or --seqstr"
            )
    if copies is not None and not (lift or diff):
        raise EditError(f"--copies {copies!r} needs --lift-to-reference or --diff")
    if reference is not None and not diff:
        raise EditError(f"--reference {str(reference)!r} needs --diff")


def _watch(engine: Engine, bar: tqdm) -> None:
    """What is being encoded, behind the bar."""

    def notice(name: str, start: int, end: int, reverse: bool) -> None:
        left = f"encoding {name} {'-' if reverse else '+'}, {(end - start) / 1e6:.1f} Mb to go"
        bar.set_postfix_str(left if end > start else "")

    engine.encodings.encoder.notice = notice


def _say_error(
    engine: Engine, module: ModuleSpec, chrom: str, levels: Sequence[Sequence[Window]]
) -> None:
    """What approximations cost, measured on one window of each level."""
    for part, (r, largest) in engine.approximation_error(module, chrom, levels).items():
        kind = (
            f"{engine.encoder_dtype} encoder"
            if part == "encoder"
            else f"{engine.dtype} decoders, {part} bp"
        )
        click.echo(
            f"{kind}: r {r:.6f}, at most {largest:.2g} standard deviations off float32 (one "
            f"window of {chrom})",
            err=True,
        )


def _snap(chrom: str, place: int, spec: ModelSpec, source: SequenceSource) -> int:
    """The nearest position whose windows lie on the chromosome's base bins."""
    snapped = (
        min(round(place / spec.base_bin), (source.chromsizes[chrom] - 1) // spec.base_bin)
        * spec.base_bin
    )
    if snapped != place:
        click.echo(
            f"snapped {chrom}:{place:,} to {chrom}:{snapped:,}, by {snapped - place:+,} bp",
            err=True,
        )
    return snapped


def _levels(spec: ModelSpec, levels: str | None, names: tuple[str, ...] | None) -> tuple[int, ...]:
    offered = {r for m in spec.modules if names is None or m.name in names for r in m.resolutions}
    if levels is None:
        return tuple(sorted(offered))
    wanted = {spec.parse_level(text) for text in levels.split(",")}
    for resolution in sorted(wanted - offered):
        raise ModelError(
            f"level {resolution} ({spec.label(resolution)}) is not of module "
            f"{', '.join(names or ())}; levels there: {sorted(offered)}"
        )
    return tuple(sorted(wanted))


def _position(text: str, chromsizes: dict[str, int]) -> tuple[str, int]:
    """ "chr9:110,404,000" to ("chr9", 110404000)."""
    chrom, colon, digits = text.rpartition(":")
    plain = digits.replace(",", "")
    if not colon or not plain.isdigit():
        raise RegionError(f"position {text!r} is not understood; write it as chr9:110,404,000")
    parse_region(f"{chrom}:{int(plain)}-{int(plain) + 1}", chromsizes)
    return chrom, int(plain)
