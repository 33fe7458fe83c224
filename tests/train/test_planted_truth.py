"""A planted truth, end to end: boundaries at a motif, learnt from simulated contacts alone, must
move with the motif.

Everything goes through the command line: background, training in two of the paper's stages (encoder
and one-shot decoder; then a cascade on the frozen encoder), prediction of an edited genome. The
held-out chromosomes are never seen in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from planted_genome import (
    BIN,
    MOTIF,
    WRONG,
    Genome,
    erase_boundaries,
    move_boundaries,
    occurrences,
    plant,
    simulate,
)
from sklearn.metrics import roc_auc_score

import orca_cool as oc
from orca_cool.cli import main
from orca_cool.genome.open import open_genome
from orca_cool.maps.coolfile import read_log_ratio
from orca_cool.maps.metrics import diamond
from orca_cool.model.bundle import save_bundle
from orca_cool.train.config import load_config
from orca_cool.train.setup import Run

TEST = ("t1", "t2")
TRAINING = {**{f"c{k}": 500 for k in range(16)}, "v": 300}
LEVELS = (2 * BIN, BIN)
#: Side of the insulation diamond in bins; sites lie farther apart.
SIDE = 4


def config(steps: tuple[int, int]) -> dict:
    """Maps, and as in the paper peaks of the factor on the training chromosomes, which help the
    encoder to its motif.
    """
    decoder = {
        "channels": 32,
        "width": 16,
        "bottleneck": 16,
        "dilations": [1, 2, 4, 8, 1],
        "head": 5,
        "dropout": 0.0,
    }
    common = {
        "batch": 12,
        "optimizer": "adamw",
        "schedule": "onecycle",
        "average": "ema",
        "decay": 0.97,
        "flank": 2000,
        "overhang": 0.125,
        "shift": 50,
        "missing": 0.9,
        "validation": 8,
        "weight_decay": 0.01,
    }
    return {
        "name": "planted",
        "genome": "genome.fa",
        "maps": {"m": "contacts.mcool"},
        "expected": "expected",
        "peaks": {"factor": "peaks.bed"},
        "test": list(TEST),
        "validation": ["v"],
        "threads": 1,
        "workers": 0,
        "accelerator": "cpu",
        "devices": 1,
        "model": {
            "bins": 64,
            "encoder": {
                "widths": [24, 32, 32, 32],
                "pools": [1, 5, 5, 8],
                "block": 40_000,
                "flank": 4_000,
            },
            "pyramids": {"p": {"steps": 1, "width": 32}},
            "base_decoder": {**decoder, "one_shot": True},
            "modules": [
                {
                    "name": "25k",
                    "resolutions": list(LEVELS),
                    "pyramids": ["p"],
                    "decoder": decoder,
                    "base_decoder": True,
                },
                {"name": "12k", "resolutions": [BIN], "base_decoder": True},
            ],
        },
        "stages": [
            {
                "name": "one",
                "module": "12k",
                "steps": steps[0],
                "validate": max(1, steps[0] // 4),
                "lr": 0.004,
                **common,
            },
            {
                "name": "two",
                "module": "25k",
                "steps": steps[1],
                "validate": max(1, steps[1] // 2),
                "lr": 0.004,
                **common,
            },
        ],
    }


def run(*arguments: object) -> None:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output


def insulation(model: Path, genome: Genome, folder: Path, name: str) -> dict[str, np.ndarray]:
    """Predicted boundary strength of every bin of the test chromosomes: minus the diamond's mean of
    log observed/expected.
    """
    fasta = genome.write_fasta(folder / f"{name}.fa")
    out = folder / f"{name}.mcool"
    run("predict", "--model", model, "--genome", fasta, "-o", out, "--levels", BIN, *TEST)
    return {c: -diamond(read_log_ratio(f"{out}::/resolutions/{BIN}", c), SIDE)[0] for c in TEST}


def at(strength: Mapping[str, np.ndarray], places: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([strength[c][places[c]] for c in TEST])


def area(positive: np.ndarray, negative: np.ndarray) -> float:
    return float(
        roc_auc_score(
            np.repeat([1, 0], [len(positive), len(negative)]), np.concatenate([positive, negative])
        )
    )


def prove(folder: Path, seed: int, steps: tuple[int, int]) -> dict[str, float]:
    """Simulate, train, edit, predict; the areas under the ROC curve."""
    # held-out chromosomes are sparser, so that there is room to move boundaries to
    held = plant(seed + 1000, dict.fromkeys(TEST, 500), motifs=1 / 30, decoys=1 / 60)
    genome = Genome({**plant(seed, TRAINING, motifs=1 / 14, decoys=1 / 30).codes, **held.codes})
    simulate(genome, folder, LEVELS[::-1], seed)
    genome.write_fasta(folder / "genome.fa")
    peaks = [(c, int(b) * BIN) for c in TRAINING for b in genome.boundaries(c)]
    (folder / "peaks.bed").write_text("".join(f"{c}\t{a + 50}\t{a + 150}\n" for c, a in peaks))
    (folder / "c.yaml").write_text(yaml.safe_dump(config(steps)))
    run(
        "expected",
        folder / "contacts.mcool",
        "-o",
        folder / "expected",
        "-r",
        BIN,
        "--exclude",
        ",".join(TEST),
        "--keep",
        8_000,
    )
    run("train", folder / "c.yaml", "-o", folder / "run")
    return score(folder, genome, seed)


def score(folder: Path, genome: Genome, seed: int) -> dict[str, float]:
    """Edit the held-out chromosomes, predict, and compare where boundaries are with where they
    should be.
    """
    edited = move_boundaries(genome, TEST, seed)
    before = insulation(folder / "run" / "model", genome, folder, "before")
    after = insulation(folder / "run" / "model", edited.genome, folder, "after")
    bare = insulation(
        folder / "run" / "model", erase_boundaries(genome, TEST, seed), folder, "bare"
    )
    there = np.concatenate([at(after, edited.kept), at(after, edited.new)])
    not_there = np.concatenate(
        [at(after, p) for p in (edited.deleted, edited.decoys, edited.empty)]
    )
    change = {c: after[c] - before[c] for c in TEST}
    settings = load_config(folder / "c.yaml")
    fresh = Run(settings, folder / "fresh", open_genome(folder / "genome.fa"))
    fresh.data(0)
    untrained = insulation(
        save_bundle(folder / "untrained", fresh.model().eval(), fresh.tables[settings.target]),
        edited.genome,
        folder,
        "untrained",
    )
    return {
        "boundaries": area(there, not_there),
        "moved": area(at(after, edited.new), at(after, edited.deleted)),
        "change": area(at(change, edited.new), at(change, edited.deleted)),
        "decoys": area(there, at(after, edited.decoys)),
        "untrained": area(
            *(
                np.concatenate([at(untrained, p) for p in group])
                for group in (
                    (edited.kept, edited.new),
                    (edited.deleted, edited.decoys, edited.empty),
                )
            )
        ),
        "kept over bare": float(
            (at(after, edited.kept) > max(np.nanmax(bare[c]) for c in TEST)).mean()
        ),
    }


def screened(folder: Path, genome: Genome) -> dict[str, float]:
    """Knock out every copy of the motif on a held-out chromosome, every decoy, and empty places."""
    codes = genome.codes[TEST[0]]
    motifs, decoys = occurrences(codes), occurrences(codes, mismatches=WRONG)
    near = np.concatenate([motifs, decoys])
    empty = [a for a in range(2_000, len(codes) - 2_000, 1_500) if np.abs(near - a).min() > 400]
    places = {"motif": motifs, "decoy": decoys, "empty": np.array(empty)}
    kinds = {int(a): kind for kind, starts in places.items() for a in starts}
    sites = folder / "sites.bed"
    sites.write_text("".join(f"{TEST[0]}\t{a}\t{a + len(MOTIF)}\n" for a in sorted(kinds)))
    table = oc.screen.local(
        sites=sites,
        model=folder / "run" / "model",
        genome=folder / "genome.fa",
        module="25k",
        replace="shuffle",
        per_sequence=1,
        progress=False,
    ).table
    table["kind"] = table["start"].map(kinds)
    found = {kind: table.loc[table["kind"] == kind, "score"].to_numpy() for kind in places}
    strongest = table.sort_values("score", ascending=False).head(len(motifs) // 2)
    return {
        "motifs among the strongest": float((strongest["kind"] == "motif").mean()),
        "area": area(found["motif"], np.concatenate([found["decoy"], found["empty"]])),
        "decoys": float(np.median(found["decoy"]) / np.median(found["motif"])),
        "strongest": float(strongest["start"].iloc[0]),
    }


def read_genome(path: Path) -> dict[str, np.ndarray]:
    """Codes of each chromosome of a FASTA."""
    source = open_genome(path)
    return {c: source.fetch(c, 0, n) for c, n in source.chromsizes.items()}


def logo(folder: Path, genome: Genome, start: int) -> tuple[np.ndarray, np.ndarray]:
    """What each base of a copy of the motif, and of 20 bp on both sides, adds to its boundary."""
    p = oc.Predictor(folder / "run" / "model", folder / "genome.fa", progress=False)
    middle = start + len(MOTIF) // 2
    region = f"{TEST[0]}:{start - 20}-{start + len(MOTIF) + 20}"
    found = oc.attribute.ism(p, region, f"insulation {TEST[0]}:{middle}", resolution=BIN)
    numbers = -found.projected  # the motif lowers insulation
    return numbers[20:-20], np.concatenate([numbers[:20], numbers[-20:]])


@pytest.mark.long
def test_boundaries_move_with_their_motif(tmp_path):
    found = prove(tmp_path, seed=1, steps=(180, 40))
    for key in ("boundaries", "moved", "change", "decoys"):
        assert found[key] > 0.95, found
    assert found["untrained"] < 0.7, found  # what is found is learnt
    assert found["kept over bare"] > 0.9, found  # no sequence without a motif looks like one

    genome = Genome(read_genome(tmp_path / "genome.fa"))
    screen = screened(tmp_path, genome)
    assert screen["motifs among the strongest"] == 1, screen
    assert screen["area"] > 0.95, screen
    assert screen["decoys"] < 0.2, screen  # scrambled copies are silent
    inside, outside = logo(tmp_path, genome, int(screen["strongest"]))
    assert (inside > 0).mean() > 0.8, inside  # the motif's own base is the best one
    assert np.abs(inside).mean() > 5 * np.abs(outside).mean(), (inside, outside)
