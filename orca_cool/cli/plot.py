"""``orca-cool plot``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orca_cool.cli.edits import edit_options, say_problems
from orca_cool.errors import EditError, ModelError, RegionError
from orca_cool.genome.gene_models import read_genes, spans
from orca_cool.genome.regions import Region, parse_number, parse_region
from orca_cool.maps.open import open_map
from orca_cool.maps.picture import picture_paths, plot_maps, save_figures
from orca_cool.variants.options import Edited, EditOptions, edited_genome

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from orca_cool.effects.columns import Column
    from orca_cool.genome.source import SequenceSource
    from orca_cool.model.spec import ModuleSpec
    from orca_cool.prediction.engine import Engine

#: More places than this are no picture any more.
MAX_PLACES = 24


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("predicted", required=False)
@click.option(
    "--output",
    "-o",
    required=True,
    type=click.Path(path_type=Path),
    help="The picture: .png, .pdf, .svg.",
)
@click.option(
    "--observed", help="Measured .cool or .mcool; FILE.mcool::resolutions/10000 picks a resolution."
)
@click.option(
    "--region",
    "-r",
    help="chrII or chrII:100,000-500,000 [of an .mcool the default is the longest chromosome].",
)
@click.option(
    "--resolution",
    type=int,
    help="Of an .mcool: resolution in bp [default: the finest that knows the whole region].",
)
@click.option(
    "--contact",
    is_flag=True,
    help="Of an .mcool: draw log10 contact frequency instead of log observed/expected.",
)
@click.option(
    "--model",
    "-m",
    help="Predict what is drawn: a model's name (see `orca-cool models list`) or its folder.",
)
@click.option(
    "--genome",
    "-g",
    help="FASTA (plain or bgzip), .2bit, or the name of a shipped genome (`example`).",
)
@edit_options
@click.option(
    "--at",
    "position",
    help="Centre of the windows, in the reference: chr9:110,404,000 [default: each breakpoint].",
)
@click.option(
    "--module", help="Module of the model (32M, 256M, 1M) [default: the first that has the levels]."
)
@click.option(
    "--levels",
    help="Comma-separated resolutions (4000) or windows (1M) [default: all of the module].",
)
@click.option(
    "--genes",
    type=click.Path(path_type=Path),
    help="Genes to draw below the maps: GTF, GFF3 or BED, plain or gzip.",
)
@click.option(
    "--triangles",
    is_flag=True,
    help="Maps rotated by 45 degrees, up to half the window's distance.",
)
@click.option(
    "--vmax",
    type=click.FloatRange(min=0, min_open=True),
    help="End of the colour scale of log observed/expected.",
)
@click.option(
    "--dmax",
    type=click.FloatRange(min=0, min_open=True),
    help="End of the colour scale of the difference.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Encodings of the reference on disk (`orca-cool encode`).",
)
@click.option(
    "--edges",
    default="real",
    show_default=True,
    help="Ends of windows: real sequence, or zero padding.",
)
@click.option(
    "--chrom-names", help="add-chr, strip-chr or a two-column TSV: rename the genome's chromosomes."
)
@click.option(
    "--any-genome", is_flag=True, help="Accept a genome of another assembly than the model's."
)
@click.option("--force", is_flag=True, help="Replace the picture if it exists.")
def plot(
    predicted: str | None,
    output: Path,
    observed: str | None,
    region: str | None,
    resolution: int | None,
    contact: bool,
    model: str | None,
    genome: str | None,
    edits: EditOptions,
    position: str | None,
    module: str | None,
    levels: str | None,
    genes: Path | None,
    triangles: bool,
    vmax: float | None,
    dmax: float | None,
    device: str,
    store: Path | None,
    edges: str,
    chrom_names: str | None,
    any_genome: bool,
    force: bool,
) -> None:
    """Draw predicted maps.

    PREDICTED an .mcool of `orca-cool predict`: one region of it above the diagonal, and a measured
    map below it.

    PREDICTED an .npz of `orca-cool variants --maps`: a variant's maps, reference, alternate and
    difference at every level.

    Without PREDICTED, with --model and --genome: maps are predicted and drawn at every level,
    around each breakpoint of the edits, around --at, or around the middle of --region at the levels
    whose windows hold it. Several breakpoints that are far from each other are pages of a .pdf, or
    files name.1.png, name.2.png, ...
    """
    edits.require_consistent()
    predicting: dict[str, Any] = {
        "--model": model,
        "--genome": genome,
        "--module": module,
        "--store": store,
        "--at": position,
    }
    predicting |= {"--edit, --vcf or --seqstr": edits}
    zoom = {"--levels": levels, "--genes": genes, "--triangles": triangles, "--dmax": dmax}
    from_file = {"--resolution": resolution, "--contact": contact}
    if predicted is not None:
        _refuse(
            predicting,
            f"nothing is predicted where {predicted!r} is drawn; leave out one or the other",
        )
        if not predicted.endswith(".npz"):
            _refuse(zoom, f"only for zoom, not for {predicted!r}")
            click.echo(
                plot_maps(
                    predicted,
                    output,
                    observed,
                    region,
                    resolution,
                    contact=contact,
                    vmax=vmax,
                    force=force,
                )
            )
            return
        _refuse(
            from_file | {"--region": region},
            f"{predicted!r} is drawn as it is; choose with --levels alone",
        )
    _refuse(from_file, "only for an .mcool; choose levels with --levels")
    if observed is not None:
        open_map(observed)  # before anything is predicted
    style: dict[str, Any] = {
        "triangles": triangles,
        "observed": observed,
        "vmax": vmax,
        "dmax": dmax,
    }

    if predicted is not None:
        from orca_cool.effects.columns import read_maps

        title, pages = read_maps(predicted)
        pages = [_chosen(columns, levels) for columns in pages]
        paths = picture_paths(output, len(pages), force)
        known = _genes(
            genes, [place for columns in pages for column in columns for place in column.places()]
        )
        _save(pages, len(pages), title, known, paths, style)
    elif model is None or genome is None:
        raise ModelError(
            "there is nothing to draw: give PREDICTED (an .mcool or .npz), or --model and --genome"
        )
    else:
        picture_paths(output, 1, force=True)  # a wrong ending or folder
        engine, chosen, wanted, assembly = _engine(
            model, genome, module, levels, device, store, edges, chrom_names, any_genome
        )
        place = _place(position, region, engine.source)
        if region is not None and place is not None:
            longest = engine.spec.window(wanted[0])
            wanted = [r for r in wanted if engine.spec.window(r) >= len(place)]
            if not wanted:
                raise RegionError(
                    f"region {str(place)!r} is longer than the longest window that can be drawn, "
                    f"{longest:,} bp"
                )
        if edits:
            edited = edited_genome(edits, engine.source, assembly)
            say_problems(edited.problems)
            paths = _predict_edited(
                engine, chosen, wanted, place, edited, genes, output, force, style
            )
        else:
            paths = _predict_reference(engine, chosen, wanted, place, genes, output, force, style)
    for path in paths:
        click.echo(path)


def _refuse(options: Mapping[str, Any], why: str) -> None:
    if given := [name for name, value in options.items() if value]:
        raise ModelError(f"{', '.join(given)}: {why}")


def _engine(
    model: str,
    genome: str,
    module: str | None,
    levels: str | None,
    device: str,
    store: Path | None,
    edges: str,
    chrom_names: str | None,
    any_genome: bool,
) -> tuple[Engine, ModuleSpec, list[int], str | None]:
    """Engine, module, those of its levels that are drawn, coarse to fine, and the assembly if
    the model knows it.
    """
    from orca_cool.cli.common import assembly_of
    from orca_cool.genome.open import open_genome
    from orca_cool.model.bundle import load_bundle
    from orca_cool.model.registry import resolve
    from orca_cool.prediction.engine import Engine

    bundle = load_bundle(resolve(model))
    spec = bundle.spec
    wanted = {spec.parse_level(text) for text in levels.split(",")} if levels else set()
    offered = [spec.module(module)] if module else list(spec.modules)
    chosen = next((m for m in offered if wanted <= set(m.resolutions)), None)
    if chosen is None:
        have = "; ".join(f"{m.name}: {', '.join(map(str, m.resolutions))}" for m in offered)
        raise ModelError(f"--levels {levels!r}: no module has all of them; there are {have}")
    source = open_genome(genome, chrom_names)
    assembly = assembly_of(spec, source, any_genome)
    engine = Engine(bundle, source, device, store=store, edges=edges, fine_bytes=2**30)
    drawn = [r for r in chosen.resolutions if not wanted or r in wanted]
    return engine, chosen, drawn, assembly if assembly in spec.assemblies else None


def _place(position: str | None, region: str | None, source: SequenceSource) -> Region | None:
    """What --at or --region says."""
    if position is not None and region is not None:
        raise RegionError(f"--at {position!r} and --region {region!r} both say where; give one")
    if position is None:
        return None if region is None else parse_region(region, source.chromsizes)
    chrom, colon, digits = position.rpartition(":")
    if not colon or "-" in digits:
        raise RegionError(f"position {position!r} is not understood; write it as chr9:110,404,000")
    at = parse_number(digits)
    return parse_region(f"{chrom}:{at}-{at + 1}", source.chromsizes)


def _predict_reference(
    engine: Engine,
    module: ModuleSpec,
    levels: Sequence[int],
    place: Region | None,
    genes: Path | None,
    output: Path,
    force: bool,
    style: dict[str, Any],
) -> list[Path]:
    from orca_cool.effects.columns import Column

    if place is None:
        raise RegionError("there is nothing to draw around: give --at, --region or --edit")
    spec, reach = engine.spec, engine.spec.window(module.resolutions[0])
    # the nearest base bin, where encodings of the chromosome serve
    middle = (place.start + place.end) // 2 // spec.base_bin * spec.base_bin
    paths = picture_paths(output, 1, force)
    known = _genes(genes, [(place.chrom, middle - reach, middle + reach)])
    maps = engine.zoom(module, place.chrom, middle, engine.edges)
    columns = [Column.of_zoom(m, engine.source) for m in maps if m.resolution in levels]
    _save([columns], 1, f"{spec.name}: {place.chrom}:{middle:,}", known, paths, style)
    return paths


def _predict_edited(
    engine: Engine,
    module: ModuleSpec,
    levels: Sequence[int],
    place: Region | None,
    edited: Edited,
    genes: Path | None,
    output: Path,
    force: bool,
    style: dict[str, Any],
) -> list[Path]:
    from orca_cool.effects.align import Reference
    from orca_cool.effects.columns import compared
    from orca_cool.effects.sites import around, site_at, sites

    genome, spec = edited.genome, engine.spec
    changes = textwrap.shorten("; ".join(map(str, edited.changes)), 100, placeholder=" ...")
    if not genome.edited:
        raise EditError(f"{changes!r} changes nothing: the sequence is the reference's")
    if place is None:
        places = sites(genome, spec, module)
    else:
        places = [site_at(genome, place.chrom, (place.start + place.end) // 2, spec.base_bin)]
    if len(places) > MAX_PLACES:
        raise EditError(
            f"the edits have breakpoints at {len(places):,} places, more than {MAX_PLACES} "
            f"pictures; choose one with --at"
        )
    paths = picture_paths(output, len(places), force)
    reach = spec.window(module.resolutions[0])
    known = _genes(genes, [interval for site in places for interval in around(genome, site, reach)])
    reference = Reference(engine, module)
    pages = (compared(reference, genome, site, levels) for site in places)
    _save(pages, len(places), f"{spec.name}: {changes}", known, paths, style)
    return paths


def _chosen(columns: Sequence[Column], levels: str | None) -> list[Column]:
    """Columns of the levels that are asked for, by resolution or window."""
    if levels is None:
        return list(columns)
    wanted = [parse_number(text.strip()) for text in levels.split(",")]
    windows = {c.resolution: c.maps[-1].end - c.maps[-1].start for c in columns}
    for text, level in zip(levels.split(","), wanted):
        if level not in (*windows, *windows.values()):
            raise ModelError(
                f"level {text.strip()!r} is not in the file; it has: {', '.join(map(str, windows))}"
            )
    return [c for c in columns if c.resolution in wanted or windows[c.resolution] in wanted]


def _genes(path: Path | None, places: Sequence[tuple[str, int, int]]) -> pd.DataFrame | None:
    """Genes around some intervals: read before anything is predicted, so that a wrong file is known
    soon.
    """
    import pandas as pd

    return (
        None
        if path is None
        else pd.concat([read_genes(path, region) for region in spans(places)], ignore_index=True)
    )


def _save(
    pages: Iterable[Sequence[Column]],
    number: int,
    title: str,
    genes: pd.DataFrame | None,
    paths: Sequence[Path],
    style: dict[str, Any],
) -> None:
    """Draw and write page by page."""

    from orca_cool.effects.figure import draw_columns

    def figures() -> Iterator[Figure]:
        for k, columns in enumerate(pages, start=1):
            which = f" (place {k} of {number})" if number > 1 else ""
            yield draw_columns(
                columns, title=f"{title}{which}, mean of both strands", genes=genes, **style
            )

    save_figures(figures(), paths)
