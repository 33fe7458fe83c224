"""``orca-cool models``: list, info, import, fetch, export, verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from orca_cool.cli.models_folders import add_path, remove, remove_path
from orca_cool.cli.models_verify import verify
from orca_cool.cli.options import (
    VerbGroup,
    echo,
    force_option,
    is_quiet,
    json_option,
    output_option,
)
from orca_cool.errors import ModelError
from orca_cool.model.spec import ModelSpec


@click.group(cls=VerbGroup, example="models list")
def models() -> None:
    """List, inspect, import, fetch, export, verify and remove models."""


@models.command("list", example="models list --json")
@json_option
def list_(as_json: bool) -> None:
    """List the known models: shipped, shared, yours, and those that can be fetched."""
    from orca_cool.model.foreign import entry_points
    from orca_cool.model.header import read_header
    from orca_cool.model.registry import known

    rows = []
    for entry in known().values():
        about = entry.about
        if entry.path is not None:
            try:
                spec: ModelSpec = read_header(entry.path)["spec"]
                about = "; ".join(
                    filter(
                        None,
                        [
                            spec.organism,
                            spec.cell_type or ", ".join(spec.cell_types),
                            " ".join(m.name for m in spec.modules),
                        ],
                    )
                )
            except ModelError as error:  # one damaged bundle must not hide the others
                about = f"DAMAGED: {error}"
        rows.append(
            {
                "name": entry.name,
                "origin": entry.origin,
                "about": about,
                "path": entry.path and str(entry.path),
            }
        )
    for name, point in entry_points().items():  # none is loaded: a list runs nobody's code
        if name not in known():
            about = f"{point.value} of package {point.dist.name if point.dist else 'unknown'}"
            rows.append({"name": name, "origin": "package", "about": about, "path": None})
    if as_json:
        echo(json.dumps(rows, indent=1))
        return
    width = max((len(str(row["name"])) for row in rows), default=0)
    for row in rows:
        echo(f"{row['name']:<{width}}  {row['origin']:<9}  {row['about']}")


@models.command(example="models info yeast-metaphase --verify")
@click.argument("model")
@json_option
@click.option("--verify", is_flag=True, help="Also compare the weights with their checksum.")
def info(model: str, as_json: bool, verify: bool) -> None:
    """Show what a MODEL (name or folder) predicts, for which genome, and under which licence."""
    from orca_cool.model.header import SPEC_FILE, check_weights, read_header
    from orca_cool.model.registry import known, resolve

    entry = known().get(model)
    if entry is not None and entry.path is None and entry.archive is not None:
        a = entry.archive
        echo(
            f"{model}: {entry.about}\nnot on this machine: `orca-cool models fetch {model}` "
            f"({a.size})\nfrom: {', '.join(a.urls)}"
        )
        echo(f"SHA-256: {a.sha256 or 'not known'}\nlicence: {a.licence}")
        return
    path = resolve(model)
    header = read_header(path)
    if verify:
        check_weights(path, header)
    if as_json:
        echo((path / SPEC_FILE).read_text(encoding="utf-8").rstrip())
        return
    spec: ModelSpec = header["spec"]
    lines = {
        "model": spec.name,
        "organism": spec.organism,
        "cell type": spec.cell_type,
        "cell types": ", ".join(spec.cell_types),
        "genomes": ", ".join(spec.assemblies) or "not named",
        "bins per map": str(spec.bins),
        "base bin": f"{spec.base_bin} bp",
    }
    for module in spec.modules:
        levels = ", ".join(f"{spec.label(r)} ({r} bp)" for r in module.resolutions)
        lines[f"module {module.name}"] = levels + (
            "; whole chromosomes end to end" if module.multi_chromosome else ""
        )
    lines |= {
        "profiles": str(len(spec.profiles)) if spec.profiles else "",
        "expected tables": ", ".join(
            f"{b['resolution']} bp"
            + (" with trans" if b["trans"] else "")
            + (f" of {b['cell_type']}" if "cell_type" in b else "")
            for b in header["expected"]
        ),
        "training data": spec.training_data,
        "metrics": json.dumps(dict(spec.metrics)) if spec.metrics else "",
        "notes": spec.notes,
        "weights": f"{header['weights']['bytes'] / 1e6:.1f} MB, SHA-256 "
        f"{header['weights']['sha256']}" + (" (verified)" if verify else ""),
        "folder": str(path),
        "licence": spec.licence or "not stated",
    }
    for key, value in lines.items():
        if value:
            echo(f"{key:<13} {value}")


@models.command("import", example="models import yeast.zip --name mine")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--name",
    "names",
    multiple=True,
    help="Released models to import (repeatable; default: all): NAME of the files "
    "models/orca_NAME.*; or the name for a bundle.",
)
@click.option(
    "--cell-type",
    "cell_types",
    multiple=True,
    help="Of one released model of several cell types, a cell type; repeat it, in the order of the "
    "maps [default: those of leukemiaA and leukemiaB].",
)
@click.option(
    "--expected",
    "tables",
    multiple=True,
    metavar="NAME=FILE",
    help="The .npy of the expected table (logs, 4 kb) of the cell type NAME (repeatable).",
)
@output_option("Folder for the bundles [default: your models].", required=False)
@force_option
def import_(
    source: Path,
    names: tuple[str, ...],
    cell_types: tuple[str, ...],
    tables: tuple[str, ...],
    output: str | None,
    force: bool,
) -> None:
    """Import SOURCE: the folder or tar of the released Orca or OrcaLeukemia resources, or a model
    bundle (folder or .zip).
    """
    from orca_cool.model.fetch import import_archive
    from orca_cool.model.folders import user_models
    from orca_cool.model.header import is_bundle
    from orca_cool.model.import_orca import import_released
    from orca_cool.model.registry import import_bundle

    out = user_models() if output is None else Path(output)
    if not source.exists():
        raise ModelError(f"{source}: no such file or folder")
    several: dict[str, Any] = {"cell_types": cell_types, "expected": _files_by_name(tables)}
    if is_bundle(source) or source.suffix == ".zip":
        if len(names) > 1:
            raise ModelError(f"one bundle has one name, not {', '.join(names)}")
        if cell_types or tables:
            given = "--cell-type " + cell_types[0] if cell_types else "--expected " + tables[0]
            raise ModelError(f"{given}: {source} is a bundle, which names its cell types itself")
        paths = [import_bundle(source, out, names[0] if names else None, force=force)]
    elif source.is_dir():
        paths = import_released(source, out, names or None, force=force, **several)
    else:
        paths = import_archive(source, out, names or None, force=force, **several)
    _say(paths)


def _files_by_name(texts: tuple[str, ...]) -> dict[str, str]:
    """``NAME=FILE`` as file by name; ModelError if one is not of that form, or comes twice."""
    files: dict[str, str] = {}
    for text in texts:
        name, separator, file = text.partition("=")
        if not (name and separator and file):
            raise ModelError(f"--expected must be NAME=FILE, not {text!r}")
        if name in files:
            raise ModelError(f"--expected {name}: given twice, {files[name]!r} and {file!r}")
        files[name] = file
    return files


@models.command(
    remains=lambda params: "what is downloaded is kept: repeat the command to go on",
    example="models fetch h1esc",
    epilog="An unfinished download is FILE.part, with FILE.part.json, in the folder of downloads.",
)
@click.argument("name")
@click.option("--sha256", "digest", help="Hold the download to this SHA-256.")
@click.option("--accept-unverified", is_flag=True, help="Go on although no SHA-256 is known.")
@click.option("--keep", is_flag=True, help="Keep the downloaded file after the import.")
@force_option
def fetch(name: str, digest: str | None, accept_unverified: bool, keep: bool, force: bool) -> None:
    """Download the model NAME and import it; an interrupted download goes on when the command is
    repeated.
    """
    from orca_cool.model.fetch import fetch as run
    from orca_cool.model.folders import user_models
    from orca_cool.model.registry import fetchable, known, unknown

    found = fetchable().get(name)
    if found is None:
        entry = known().get(name)
        raise (
            unknown(name)
            if entry is None
            else ModelError(f"model {name!r} is here already: {entry.path}")
        )
    archive = found[0]
    echo(f"licence: {archive.licence or 'not stated'}", err=True)
    echo(f"{archive.urls[0]} ({archive.size or 'size not known'})", err=True)
    with tqdm(
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        desc=name,
        disable=True if is_quiet() else None,
    ) as bar:

        def progress(have: int, total: int | None) -> None:
            bar.total = total
            bar.update(have - bar.n)

        paths = run(
            archive,
            name,
            user_models(),
            digest=digest,
            accept_unverified=accept_unverified,
            force=force,
            keep=keep,
            progress=progress,
        )
    _say(paths)


@models.command(example="models export yeast-metaphase -o yeast.zip")
@click.argument("model")
@output_option("A folder, or a .zip.")
@force_option
def export(model: str, output: str, force: bool) -> None:
    """Copy a MODEL (name or folder) to a folder or a .zip, for sharing; `models import`
    reads both.
    """
    from orca_cool.model.header import read_header
    from orca_cool.model.registry import export_bundle, resolve

    path = resolve(model)
    echo(f"licence: {read_header(path)['spec'].licence or 'not stated'}", err=True)
    echo(str(export_bundle(path, output, force=force)))


def _say(paths: list[Path]) -> None:
    """One line a model, and its licence."""
    from orca_cool.model.header import read_header

    for path in paths:
        spec: ModelSpec = read_header(path)["spec"]
        echo(f"{path.name}\t{path}\tmodules {' '.join(m.name for m in spec.modules)}")
        echo(f"licence of {path.name}: {spec.licence or 'not stated'}", err=True)


for _command in (verify, add_path, remove_path, remove):
    models.add_command(_command)
