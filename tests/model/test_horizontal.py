"""Gradients through blocks: those of one pass over the whole sequence, in the memory of one
block.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from orca_cool.errors import ModelError
from orca_cool.genome.source import one_hot
from orca_cool.model import horizontal
from orca_cool.model.encoder import Encoder
from orca_cool.model.horizontal import encode_blocks
from orca_cool.model.network_spec import EncoderSpec

#: base bins of 6, 40 and 4 bp; the flank of the last is exactly half its receptive field
SPECS = [
    EncoderSpec(widths=(4, 6, 5), pools=(1, 2, 3), kernel=3, block=96, flank=42),
    EncoderSpec(widths=(6, 8, 8), pools=(1, 5, 8), kernel=5, block=800, flank=400),
    EncoderSpec(widths=(5, 4), pools=(1, 4), kernel=3, block=40, flank=20),
]
DROPPING = EncoderSpec(
    widths=(6, 8, 8), pools=(1, 5, 8), kernel=5, block=800, flank=400, dropout=0.3
)


def make(spec: EncoderSpec, dtype: torch.dtype = torch.float64, seed: int = 0) -> Encoder:
    """Random weights and running statistics, in eval mode."""
    random = torch.Generator().manual_seed(seed)
    encoder = Encoder(spec).eval()
    with torch.no_grad():
        for key, tensor in encoder.state_dict().items():
            if key.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=random))
            elif tensor.ndim == 1:
                tensor.copy_(
                    (1.0 if key.endswith("weight") else 0.0)
                    + 0.2 * torch.randn(tensor.shape, generator=random)
                )
            elif tensor.ndim > 1:
                tensor.copy_(torch.randn(tensor.shape, generator=random) / tensor[0].numel() ** 0.5)
    return encoder.to(dtype)


def sequences(batch: int, length: int, seed: int = 1) -> Tensor:
    """Codes with some N, single and in runs."""
    random = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 5, (batch, length), generator=random, dtype=torch.uint8)
    codes[:, length // 3 : length // 3 + length // 10] = 4
    return codes


def whole(encoder: Encoder, codes: Tensor) -> Tensor:
    """One pass over all of it."""
    weight = next(encoder.parameters())
    return encoder(torch.stack([one_hot(c, weight.device, weight.dtype) for c in codes]))


def plain_blocks(encoder: Encoder, codes: Tensor) -> Tensor:
    """The same blocks, their activations kept: what checkpointing must not change."""
    spec, n = encoder.spec, codes.shape[-1]
    parts = []
    for a in range(0, n // spec.base_bin * spec.base_bin, spec.block):
        i, j = max(0, a - spec.flank), min(n, a + spec.block + spec.flank)
        y = whole(encoder, codes[:, i:j])
        parts.append(y[..., (a - i) // spec.base_bin :][..., : spec.block // spec.base_bin])
    return torch.cat(parts, -1)


def gradients(encoder: Encoder, y: Tensor) -> dict[str, Tensor]:
    """Of a sum with random weights, by parameter."""
    encoder.zero_grad()
    (y * torch.randn(y.shape, generator=torch.Generator().manual_seed(2)).to(y)).sum().backward()
    return {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}


def assert_close(a: dict[str, Tensor], b: dict[str, Tensor], tolerance: float) -> None:
    """The norm of every parameter's difference, relative to its gradient's."""
    assert set(a) == set(b)
    for name in b:
        assert b[name].norm() > 0, name
        assert (a[name] - b[name]).norm() <= tolerance * b[name].norm(), name


def buffers(encoder: Encoder) -> dict[str, Tensor]:
    return {name: t.clone() for name, t in encoder.named_buffers()}


def assert_same(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert set(a) == set(b)
    for name in b:
        assert torch.equal(a[name], b[name]), name


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_outputs_and_gradients_are_those_of_one_pass(data):
    spec = data.draw(st.sampled_from(SPECS))
    base = spec.base_bin
    bins = data.draw(st.integers(1, 3 * (spec.block + spec.flank) // base))
    length = bins * base + data.draw(st.integers(0, base - 1))
    block = base * data.draw(st.integers(1 + bins // 8, 2 + bins))
    flank = spec.flank + base * data.draw(st.integers(0, 2))
    encoder, codes = (
        make(spec),
        sequences(data.draw(st.integers(1, 3)), length, data.draw(st.integers(0, 1000))),
    )
    expected = whole(encoder, codes)
    found = encode_blocks(encoder, codes, block=block, flank=flank)
    assert found.shape == (len(codes), spec.widths[-1], bins)
    assert (found - expected).norm() <= 1e-10 * expected.norm()
    expected_gradients = gradients(encoder, expected)
    found_gradients = gradients(encoder, found)
    for name, g in expected_gradients.items():
        assert (found_gradients[name] - g).norm() <= 1e-10 * max(g.norm(), 1e-3), name


@pytest.mark.parametrize(
    ("spec", "length"), [(SPECS[0], 1001), (SPECS[1], 6400), (SPECS[1], 4039), (SPECS[2], 999)]
)
def test_in_float32_too(spec, length, device):
    encoder, codes = make(spec, torch.float32).to(device), sequences(2, length)
    expected = whole(encoder, codes)
    found = encode_blocks(encoder, codes)
    assert found.dtype == torch.float32
    assert found.device.type == device.type
    assert (found - expected).norm() <= 1e-5 * expected.norm()
    assert_close(gradients(encoder, found), gradients(encoder, expected), 1e-4)


def test_one_sequence_is_a_batch_of_one():
    encoder, codes = make(SPECS[0]), sequences(1, 500)
    assert torch.equal(encode_blocks(encoder, codes[0]), encode_blocks(encoder, codes))


def test_what_is_frozen_gets_no_gradient_and_the_rest_the_same():
    encoder, codes = make(SPECS[0]), sequences(2, 500)
    encoder.lconv1.requires_grad_(False)
    encoder.conv3.requires_grad_(False)
    found = gradients(encoder, encode_blocks(encoder, codes))
    assert {name.split(".")[0] for name in found} == {"conv1", "lconv2", "conv2", "lconv3"}
    assert_close(found, gradients(encoder, whole(encoder, codes)), 1e-10)


@pytest.mark.parametrize("spec", [SPECS[0], DROPPING])
def test_in_training_blocks_are_those_run_without_a_checkpoint_bit_by_bit(spec, device):
    encoder, codes = (
        make(spec, torch.float32).train().to(device),
        sequences(2, 5 * spec.block - 30).to(device),
    )
    before = {name: t.clone() for name, t in encoder.state_dict().items()}
    results = []
    for function in (plain_blocks, encode_blocks):
        encoder.load_state_dict(before)
        torch.manual_seed(3)
        y = function(encoder, codes)
        after = buffers(encoder)
        found = gradients(encoder, y)
        assert_same(buffers(encoder), after)  # the second run moves nothing
        results.append((y.detach(), after, found, torch.rand(3)))
    (y0, buffers0, gradients0, random0), (y1, buffers1, gradients1, random1) = results
    assert torch.equal(y1, y0)
    assert torch.equal(random1, random0)
    assert_same(buffers1, buffers0)
    assert int(buffers1["lconv1.1.num_batches_tracked"]) == 5
    assert_close(
        gradients1, gradients0, 1e-5 if device.type == "cuda" else 1e-7
    )  # sums over blocks


def test_statistics_are_those_of_each_block_with_its_flanks():
    spec = SPECS[0]
    encoder, codes = make(spec).train(), sequences(2, 3 * spec.block)
    norm = encoder.lconv1[1]
    mean = norm.running_mean.clone()
    encode_blocks(encoder, codes).sum().backward()
    for i, j in ((0, 138), (54, 234), (150, 288)):
        with torch.no_grad():
            x = encoder.lconv1[0](
                torch.stack([one_hot(c, dtype=torch.float64) for c in codes[:, i:j]])
            )
        mean = 0.9 * mean + 0.1 * x.mean((0, 2))
    torch.testing.assert_close(norm.running_mean, mean, rtol=1e-12, atol=1e-12)


def test_a_cumulative_average_counts_each_block_once():
    encoder, codes = make(SPECS[0]).train(), sequences(1, 4 * SPECS[0].block)
    for m in encoder.modules():
        if isinstance(m, nn.BatchNorm1d):
            m.momentum = None  # the mean of all batches, by num_batches_tracked
            m.reset_running_stats()
    y = encode_blocks(encoder, codes)
    after = buffers(encoder)
    y.sum().backward()
    assert_same(buffers(encoder), after)
    assert int(after["conv3.4.num_batches_tracked"]) == 4


def test_a_retained_graph_runs_again():
    encoder, codes = make(DROPPING).train(), sequences(1, 3200)
    y = encode_blocks(encoder, codes)
    after = buffers(encoder)
    encoder.zero_grad()
    y.square().sum().backward(retain_graph=True)
    once = {name: p.grad.clone() for name, p in encoder.named_parameters()}
    y.square().sum().backward()
    assert_same(
        {name: p.grad for name, p in encoder.named_parameters()},
        {name: 2 * g for name, g in once.items()},
    )
    assert_same(buffers(encoder), after)


def test_modes_are_those_of_the_first_run():
    encoder, codes = make(DROPPING).train(), sequences(1, 3200)
    before = {name: t.clone() for name, t in encoder.state_dict().items()}
    results = []
    for mode in (True, False):
        encoder.load_state_dict(before)
        encoder.train()
        torch.manual_seed(4)
        y = encode_blocks(encoder, codes)
        encoder.train(mode)
        results.append(gradients(encoder, y))
        assert all(m.training == mode for m in encoder.modules())
    assert_same(results[1], results[0])


def test_an_error_in_the_second_run_leaves_the_encoder_as_it_was():
    encoder, codes = make(SPECS[0]).train(), sequences(1, 4 * SPECS[0].block)
    y = encode_blocks(encoder, codes)
    after, own = buffers(encoder), {name: id(t) for name, t in encoder.named_buffers()}
    encoder.eval()

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    handle = encoder.conv2.register_forward_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        y.sum().backward()
    handle.remove()
    assert {name: id(t) for name, t in encoder.named_buffers()} == own
    assert_same(buffers(encoder), after)
    assert not any(m.training for m in encoder.modules())


def frozen(encoder: Encoder, codes: Tensor) -> Tensor:
    encoder.requires_grad_(False)
    return encode_blocks(encoder, codes)


@pytest.mark.parametrize(
    "how", [torch.no_grad()(encode_blocks), torch.inference_mode()(encode_blocks), frozen]
)
def test_without_gradients_nothing_is_checkpointed(how: Callable[..., Tensor], monkeypatch):
    encoder, codes = make(SPECS[1]), sequences(2, 3300)
    expected = whole(encoder, codes)
    monkeypatch.setattr(horizontal, "checkpoint", lambda *_, **__: pytest.fail("checkpointed"))
    runs = []
    encoder.register_forward_hook(lambda *_: runs.append(1))
    y = how(encoder, codes)
    assert not y.requires_grad
    assert len(runs) == 5
    assert (y - expected).norm() <= 1e-10 * expected.norm()


def test_autocast_sums_gradients_of_many_blocks_in_full_precision(device):
    spec = SPECS[1]
    encoder, codes = make(spec, torch.float32).to(device), sequences(1, 64 * spec.block)

    def found(bfloat16: bool) -> Tensor:
        encoder.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            y = encode_blocks(encoder, codes)
            assert torch.is_autocast_cache_enabled()
        assert y.dtype == (torch.bfloat16 if bfloat16 else torch.float32)
        y.float().square().mean().backward()
        return torch.cat([p.grad.flatten() for p in encoder.parameters() if p.ndim > 1])

    exact = found(False)
    # 0.4 % is bfloat16 itself; with autocast's cache, sums of 64 blocks are 2 % wrong
    assert (found(True) - exact).norm() < 0.008 * exact.norm()


def test_codes_that_change_before_the_backward_pass_are_noticed():
    encoder, codes = make(SPECS[0]), sequences(1, 500)
    y = encode_blocks(encoder, codes)
    codes[0, 5] = 3 - codes[0, 5] % 4
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


class Live(TorchDispatchMode):
    """Bytes of all storages that are alive, and the most there were at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: dict[StorageWeakRef, int] = {}
        self.peak = 0

    def now(self) -> int:
        self.sizes = {ref: n for ref, n in self.sizes.items() if not ref.expired()}
        return sum(self.sizes.values())

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for t in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(t, Tensor):
                storage = t.untyped_storage()
                self.sizes[StorageWeakRef(storage)] = storage.nbytes()
        self.peak = max(self.peak, self.now())
        return out


def memory(function: Callable[[Encoder, Tensor], Tensor], blocks: int) -> tuple[int, int]:
    """Bytes kept between forward and backward, and at most during both; parameters and random
    states (5 kB a block) not among them.
    """
    encoder, codes = make(SPECS[1], torch.float32), sequences(1, blocks * SPECS[1].block)
    with Live() as live:
        y = function(encoder, codes)
        kept = live.now()
        y.sum().backward()
    return kept, live.peak


def test_memory_is_that_of_one_block():
    codes, outputs = SPECS[1].block, 8 * 4 * SPECS[1].block // SPECS[1].base_bin  # bytes of a block
    kept_few, few = memory(encode_blocks, 4)
    kept_many, many = memory(encode_blocks, 32)
    kept_plain, plain = memory(whole, 32)
    assert kept_few <= 4 * (codes + outputs)
    assert kept_many <= 32 * (codes + outputs)
    assert many - few <= 28 * (codes + 2 * outputs)
    assert many < plain / 8
    assert kept_many < kept_plain / 100


def test_the_heap_is_trimmed_in_both_runs_where_gradients_are_wanted(monkeypatch):
    encoder, codes = make(SPECS[0]), sequences(1, 9 * SPECS[0].block)
    calls = []
    monkeypatch.setattr(horizontal.heap, "trim", lambda: calls.append(1))
    y = encode_blocks(encoder, codes)
    assert len(calls) == 3  # blocks 0, 4, 8
    y.sum().backward()
    assert len(calls) == 6
    with torch.no_grad():
        encode_blocks(encoder, codes)
    assert len(calls) == 6


def test_a_heap_that_cannot_be_trimmed_is_left_alone(monkeypatch):
    monkeypatch.setattr(horizontal.heap.ctypes, "CDLL", lambda _: object())
    encoder, codes = make(SPECS[0]), sequences(1, 500)
    assert torch.equal(encode_blocks(encoder, codes), encode_blocks(encoder, codes))


def test_what_does_not_fit_is_refused():
    encoder, codes = make(SPECS[1]), sequences(1, 4000)
    with pytest.raises(ModelError, match="block 810 and flank 400 do not fit"):
        encode_blocks(encoder, codes, block=810)
    with pytest.raises(
        ModelError, match=r"flank 360 do not fit the encoder.* base bin 40, flank at least 368"
    ):
        encode_blocks(encoder, codes, flank=360)
    with pytest.raises(ModelError, match="block 0 "):
        encode_blocks(encoder, codes, block=0)
    with pytest.raises(ModelError, match="39 bp is shorter than one base bin of 40 bp"):
        encode_blocks(encoder, codes[:, :39])
    with pytest.raises(ModelError, match=r"type torch.int64 and shape \(1, 4000\)"):
        encode_blocks(encoder, codes.long())
    with pytest.raises(ModelError, match=r"shape \(1, 1, 4000\)"):
        encode_blocks(encoder, codes[None])
