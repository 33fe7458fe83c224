"""The specification of the released Orca models."""

from __future__ import annotations

from collections.abc import Mapping

from orca_cool.model.network_spec import DecoderSpec, EncoderSpec, ModuleSpec, PyramidSpec
from orca_cool.model.spec import ModelSpec

#: Dilations of the one-shot decoder: 19 steps, the dilation 1 only once.
ONE_SHOT_DILATIONS = (1,) + (2, 4, 8, 16, 32, 64) * 3

ORCA_LICENCE = "Orca weights and code: academic use only (Zhou lab; see github.com/jzhoulab/orca)."


def _modules(first: str, decoder: DecoderSpec, one_shot: bool) -> dict[str, ModuleSpec]:
    """The modules by name.

    Parameters
    ----------
    first : the first pyramid. decoder : of every level.
    one_shot : whether the 32M module adds the one-shot decoder at its finest level.
    """
    fine = tuple(4000 * 2**k for k in range(5, -1, -1))
    coarse = tuple(4000 * 2**k for k in range(8, 4, -1))
    return {
        "32M": ModuleSpec("32M", fine, (first,), decoder, base_decoder=one_shot),
        "256M": ModuleSpec(
            "256M", coarse, (first, "encoder3"), decoder, multi_chromosome=True, eps="window"
        ),
        "1M": ModuleSpec("1M", (4000,), base_decoder=True),
    }


def orca_spec(
    cell_type: str,
    *,
    modules: tuple[str, ...] = ("32M", "256M", "1M"),
    profiles: int = 0,
    assemblies: Mapping[str, Mapping[str, int]] | None = None,
    cell_types: tuple[str, ...] = (),
) -> ModelSpec:
    """Specification of the released Orca models.

    Parameters
    ----------
    cell_type : "h1esc", "hff" or "hctnoc" (cohesin-depleted HCT116: 32M only, nearest upsampling,
        no 1M decoder).
    modules : the modules that are present.
    profiles : number of chromatin profiles of the 1M model (32 for h1esc, 22 for hff).
    cell_types : of a model of several, in the order of its maps (OrcaLeukemia: nearest upsampling
        and a pyramid without second half as hctnoc, but with the 1M decoder); ``cell_type`` is then
        the model's name.

    Raises
    ------
    ModelError
        If a name of a cell type cannot be used, or only one is given.
    """
    depleted = cell_type == "hctnoc"
    plain, head = depleted or bool(cell_types), max(5, len(cell_types))
    decoder = DecoderSpec(upsample="nearest" if plain else "bilinear", head=head)
    first = "encoder2b" if plain else "encoder2"
    pyramids = {first: PyramidSpec(steps=5, down=not plain)}
    known = _modules(first, decoder, one_shot=not depleted)
    if "256M" in modules:
        pyramids["encoder3"] = PyramidSpec(steps=3)
    one_shot = DecoderSpec(one_shot=True, dilations=ONE_SHOT_DILATIONS, head=head)
    named = {"h1esc": "H1-ESC", "hff": "HFF", "hctnoc": "HCT116, cohesin depleted"}
    spec = ModelSpec(
        name=cell_type,
        encoder=EncoderSpec(),
        pyramids=pyramids,
        base_decoder=None if depleted else one_shot,
        modules=tuple(known[name] for name in modules),
        profiles=tuple(f"profile_{k}" for k in range(profiles)),
        assemblies=assemblies or {},
        organism="Homo sapiens",
        cell_type="" if cell_types else named.get(cell_type, cell_type),
        cell_types=cell_types,
        licence=ORCA_LICENCE,
    )
    spec.check()
    return spec
