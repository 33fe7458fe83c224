"""Jobs as text: what another process makes of it is the same object."""

import pytest

from orca_cool.effects.plot_job import PlotJob, Style
from orca_cool.effects.predict_job import PredictJob
from orca_cool.effects.variants_job import VariantsJob
from orca_cool.evaluate.job import EvaluateJob
from orca_cool.evaluate.options import EvaluationOptions
from orca_cool.prediction.encode_job import EncodeJob
from orca_cool.prediction.regions_job import RegionsJob
from orca_cool.variants.options import EditOptions

BASE = {"model": "toy", "genome": "toy.fa"}
EDITS = EditOptions(edit=("a:1 A>G", "a:5 C>T"), strict=True)
AGAINST = EvaluationOptions(observed="m.mcool", chroms=("a", "b"), train=("c",), seed=7)


@pytest.mark.parametrize(
    "job",
    [
        PredictJob(**BASE, output="x.mcool", edits=EDITS, regions=("a", "b:1-100")),
        VariantsJob(**BASE, output="x.tsv", edit=("a:1 A>G",)),
        EvaluateJob(**BASE, against=AGAINST, trans=3),
        PlotJob(**BASE, output="x.png", style=Style()),
        EncodeJob(**BASE, output="x.h5", regions=("a",)),
        RegionsJob(
            **BASE,
            regions=(("a", 0, 100), ("b", 5, 50)),
            settings={"resolutions": [40], "trans": False},
            assembly="toy",
            provenance={"at": 3},
            output="x.mcool",
        ),
    ],
    ids=lambda job: type(job).__name__,
)
def test_text_and_back(job):
    assert type(job).from_json(job.to_json()) == job
