"""The specification of the released Orca models."""

from __future__ import annotations

from collections.abc import Mapping

from orca_cool.model.spec import DecoderSpec, EncoderSpec, ModelSpec, ModuleSpec, PyramidSpec

#: Dilations of the one-shot decoder: 19 steps, the dilation 1 only once.
ONE_SHOT_DILATIONS = (1,) + (2, 4, 8, 16, 32, 64) * 3

ORCA_LICENCE = "Orca weights and code: academic use only (Zhou lab; see github.com/jzhoulab/orca)."


def orca_spec(
    cell_type: str,
    *,
    modules: tuple[str, ...] = ("32M", "256M", "1M"),
    profiles: int = 0,
    assemblies: Mapping[str, Mapping[str, int]] | None = None,
) -> ModelSpec:
    """Specification of the released Orca models.

    Parameters
    ----------
    cell_type : "h1esc", "hff" or "hctnoc" (cohesin-depleted HCT116: 32M only, nearest upsampling,
        no 1M decoder).
    modules : the modules that are present.
    profiles : number of chromatin profiles of the 1M model (32 for h1esc, 22 for hff).
    """
    depleted = cell_type == "hctnoc"
    decoder = DecoderSpec(upsample="nearest" if depleted else "bilinear")
    first = "encoder2b" if depleted else "encoder2"
    pyramids = {first: PyramidSpec(steps=5, down=not depleted)}
    known = {
        "32M": ModuleSpec(
            "32M",
            tuple(4000 * 2**k for k in range(5, -1, -1)),
            (first,),
            decoder,
            base_decoder=not depleted,
        ),
        "256M": ModuleSpec(
            "256M",
            tuple(4000 * 2**k for k in range(8, 4, -1)),
            (first, "encoder3"),
            decoder,
            multi_chromosome=True,
        ),
        "1M": ModuleSpec("1M", (4000,), base_decoder=True),
    }
    if "256M" in modules:
        pyramids["encoder3"] = PyramidSpec(steps=3)
    spec = ModelSpec(
        name=cell_type,
        encoder=EncoderSpec(),
        pyramids=pyramids,
        base_decoder=None if depleted else DecoderSpec(one_shot=True, dilations=ONE_SHOT_DILATIONS),
        modules=tuple(known[name] for name in modules),
        profiles=tuple(f"profile_{k}" for k in range(profiles)),
        assemblies=assemblies or {},
        organism="Homo sapiens",
        cell_type={"h1esc": "H1-ESC", "hff": "HFF", "hctnoc": "HCT116, cohesin depleted"}.get(
            cell_type, cell_type
        ),
        licence=ORCA_LICENCE,
    )
    spec.check()
    return spec
