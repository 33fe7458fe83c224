"""What of the choices of scores goes together, in Python's names and in those of the command line."""

from __future__ import annotations

import pytest

from orca_cool.effects.scored import Wanted
from orca_cool.effects.scoring_rules import check_scoring
from orca_cool.effects.variants_job import VariantsJob
from orca_cool.errors import EditError

GOOD = {"shifts": (), "stop_below": None, "genotype": "hom", "null": 0, "seed": 0, "genes": None}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"stop_below": 0.0}, "STOP_BELOW 0 is not a number above 0"),
        ({"stop_below": 0.1, "shifts": (40,)}, "STOP_BELOW 0.1 and SHIFTS (40,): an average is"),
        ({"stop_below": 0.1, "null": 3}, "NULL 3 and STOP_BELOW 0.1: scores are held against"),
        ({"genotype": "one"}, "GENOTYPE 'one' is not known; use hom or het"),
        ({"null": -1}, "NULL -1 is less than 0"),
        ({"null": 3, "seed": -1}, "SEED -1 is less than 0"),
        ({"seed": 3}, "SEED 3 is about matched places; it needs NULL N"),
        ({"genes": "x.gtf"}, "GENES 'x.gtf' is about matched places; it needs NULL N"),
    ],
)
def test_what_cannot_be(choices, message):
    with pytest.raises(EditError) as found:
        check_scoring(**GOOD | choices, option=str.upper)
    assert str(found.value).startswith(message)
    with pytest.raises(EditError) as found:
        Wanted((40,), **choices).check()
    names = {name.upper(): name for name in GOOD}
    for name, python in names.items():
        message = message.replace(f"{name} ", f"{python} ")
    assert str(found.value).startswith(message)


def test_what_can_be():
    for choices in ({}, {"null": 3, "seed": 5, "genes": "x.gtf", "shifts": (40,)}):
        check_scoring(**GOOD | choices)
    assert VariantsJob.option_of("stop_below") == "--stop-below"
