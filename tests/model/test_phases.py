"""Convolutions with rows by phase: the sums of the plain ones, in bfloat16 to its rounding."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from orca_cool.model.decoder import Decoder
from orca_cool.model.fast.decoder import FastDecoder
from orca_cool.model.fast.phases import PhaseConv, Rows
from orca_cool.model.network_spec import DecoderSpec

TOY = DecoderSpec(channels=8, width=12, bottleneck=6, dilations=(1, 2, 4, 8, 16, 32, 64))


def convolution(random, out, channels):
    """Weight and bias."""
    weight = torch.randn(out, channels, 3, 3, generator=random) / (3 * channels) ** 0.5
    return weight, torch.randn(out, generator=random)


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(1, 40),
    dilations=st.lists(st.integers(1, 64), min_size=1, max_size=3),
    relu=st.booleans(),
    fused=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_rows_by_phase_equal_plain_convolutions(n, dilations, relu, fused, seed):
    """In float32, of any size and dilations, one convolution after the other."""
    random = torch.Generator().manual_seed(seed)
    m = torch.randn(1, 6, n, n, generator=random).contiguous(memory_format=torch.channels_last)
    kept, rows, wanted = m.clone(), Rows(m, dilations), m.double()
    for d in dilations:
        first, second = convolution(random, 4, 6), convolution(random, 6, 4)

        def plain(y, weight, bias, d=d):
            y = F.conv2d(y, weight.double(), bias.double(), padding=d, dilation=d)
            return y.relu() if relu else y

        wanted = wanted + plain(plain(wanted, *first), *second)
        pair = (
            PhaseConv(*first, d, torch.float32, fused),
            PhaseConv(*second, d, torch.float32, fused),
        )
        rows.add(pair, relu)
    torch.testing.assert_close(rows.map.double(), wanted, rtol=1e-4, atol=1e-4)
    assert torch.equal(m, kept)


def make_decoder(spec, seed):
    """Random weights, and running statistics that do something."""
    random = torch.Generator().manual_seed(seed)
    decoder = Decoder(spec).eval()
    for name, tensor in decoder.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=random)
        elif tensor.is_floating_point():
            scale = 0.3 if tensor.ndim < 2 else (2 / tensor[0].numel()) ** 0.5
            tensor.normal_(0, scale, generator=random)
    return decoder


def unphased(decoder):
    """The bfloat16 decoder whose convolutions run as they are."""
    fast = FastDecoder(decoder, dtype="bfloat16")
    dilations = fast.spec.dilations
    fast._linear = [fast._pair(m, d) for m, d in zip(decoder.lconvtwos, dilations)]
    fast._convs = [fast._pair(m, d) for m, d in zip(decoder.convtwos, dilations)]
    fast._phased = []
    return fast


@pytest.mark.parametrize(
    ("kind", "n"),
    [
        ("top", 24),
        ("zoomed", 30),
        ("one shot", 26),
        pytest.param("zoomed", 250, marks=pytest.mark.slow),
    ],
)
def test_the_decoder_is_as_far_from_float32_as_without(kind, n):
    decoder = make_decoder(replace(TOY, one_shot=kind == "one shot"), 4)
    random = torch.Generator().manual_seed(n)
    x = torch.randn(1, 8, n, generator=random)
    distance = torch.randn(1, 1, n, n, generator=random)
    distance = distance + distance.transpose(2, 3)
    coarse = torch.randn(1, 1, n // 2, n // 2, generator=random) if kind == "zoomed" else None

    def maps(fast):
        return fast(x) if kind == "one shot" else fast(x, fast.prepare(distance), coarse)

    exact = maps(FastDecoder(decoder))
    phased, before = maps(FastDecoder(decoder, dtype="bfloat16")), maps(unphased(decoder))
    error, error_before = ((y - exact).abs() / exact.std() for y in (phased, before))
    assert 1e-5 < float(error_before.max()) < 0.2
    assert float((phased - before).abs().max() / exact.std()) <= float(error_before.max())
    assert float(error.mean()) < 1.1 * float(error_before.mean())
    assert float(error.max()) < 1.5 * float(error_before.max())


def test_phases_are_of_bfloat16_alone():
    decoder = make_decoder(TOY, 1)
    assert FastDecoder(decoder)._phased == []
    assert len(FastDecoder(decoder, dtype="bfloat16")._phased) == len(TOY.dilations) - 1
