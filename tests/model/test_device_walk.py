"""CUDA's branches walked without a GPU: shapes, devices and number types are followed, no number is
computed.

Tensors of PyTorch's ``FakeTensorMode`` say that they lie on ``cuda:0``, also where PyTorch was
built for CPUs, and :class:`Walk` looks at every operation: one whose tensors lie on two devices
fails (fake convolutions themselves let that pass), and what number types convolutions have, and
whether TF32 is on, is noted.

Walked on ``cuda:0``: decoders in float32, tf32 and bfloat16, all levels, of one and of several
chromosomes, and the batches of them (:class:`BatchDecoder`); the encoder in float32, tf32 and
float16, both strands, inside and at the ends of a sequence, with its codes in pinned memory; what
is copied beside the computation (``fetching``), with a recorded stream; the forward pass of
training, its losses and the encoder block by block, under autocast in bfloat16 and float16, and the
frozen encoder beside it.

The backward pass, horizontal checkpointing's second run included, is walked on the "meta" device,
where autograd can run (on fake CUDA tensors it ends the process where PyTorch was built for CPUs),
and under autocast on the CPU, which computes. The factor of float16's losses (GradScaler), and
clipping below it, are run on the CPU by `tests/train/test_grad_scaler.py`. **Not walked**: memory
that is full, several GPUs, cuDNN's choice of algorithms, and numbers: those are for a machine with
a GPU (`tests/test_gpu_bench.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from conftest import make_toy_expected, make_toy_model
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from orca_cool.model.fast.convolutions import Conv
from orca_cool.model.fast.decoder import FastCascade
from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.prediction import many_roots
from orca_cool.prediction.batch_decoder import BatchDecoder, strand_window
from orca_cool.prediction.windows import Window
from orca_cool.train.batch import Batch
from orca_cool.train.dots import dot_sums
from orca_cool.train.net import StageNet, map_sums, set_trained

CUDA = torch.device("cuda:0")

#: Operations that may read one device and write another.
COPIES = {torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default}
#: In inference mode the outer ones are seen.
CONVOLUTIONS = {
    torch.ops.aten.convolution.default,
    torch.ops.aten.conv1d.default,
    torch.ops.aten.conv2d.default,
}


class Walk(TorchDispatchMode):
    """Fail where tensors of two devices meet, and note what convolutions run in.

    Attributes
    ----------
    convolutions : {(device, number type, precision of float32)}.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions: set[tuple[str, torch.dtype, str]] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        # numbers without an axis go anywhere
        devices = {t.device for t in tensors if t.ndim}
        if len(devices) > 1 and func not in COPIES:
            raise AssertionError(f"{func} is given tensors on {sorted(map(str, devices))}")
        if func in CONVOLUTIONS:
            precision = torch.backends.cudnn.conv.fp32_precision
            self.convolutions.add((tensors[0].device.type, tensors[0].dtype, precision))
        return func(*args, **(kwargs or {}))


def move(module: nn.Module, device: Any, *_: Any) -> nn.Module:
    """``module.to(device)`` where tensors are fake: others of the same shapes."""
    for part in module.modules():
        for store in (part._parameters, part._buffers):
            for name, t in store.items():
                if t is not None and t.device != torch.device(device):
                    store[name] = torch.empty(t.shape, dtype=t.dtype, device=device)
    return module


def getitem(t: Tensor, index: Any) -> Tensor:
    """``t[index]`` by operations that need no driver, as the operator itself does."""
    index = index if isinstance(index, tuple) else (index,)
    at = next((k for k, i in enumerate(index) if i is Ellipsis), None)
    if at is not None:
        named = sum(i is not None for i in index) - 1
        index = (*index[:at], *[slice(None)] * (t.ndim - named), *index[at + 1 :])
    dim, chosen = 0, {}
    for i in index:
        if isinstance(i, int):
            t = t.select(dim, i)
            continue
        if i is None:
            t = t.unsqueeze(dim)
        elif isinstance(i, slice):
            t = torch.ops.aten.slice.Tensor(t, dim, i.start, i.stop, i.step or 1)
        else:
            chosen[dim] = i if isinstance(i, Tensor) else torch.tensor(i, device=t.device)
        dim += 1
    if not chosen:
        return t
    return torch.ops.aten.index.Tensor(t, [chosen.get(d) for d in range(max(chosen) + 1)])


def copy_(t: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """``t.copy_(source)``, of which only shapes matter."""
    source.expand(t.shape)
    return t


def contiguous(t: Tensor, memory_format: Any = torch.contiguous_format) -> Tensor:
    """``t.contiguous()``, always a copy."""
    return torch.ops.aten.clone.default(t, memory_format=memory_format)


def setitem(t: Tensor, index: Any, value: Any) -> None:
    """``t[index] = value`` likewise."""
    part = getitem(t, index)
    part.copy_(value) if isinstance(value, Tensor) else part.fill_(value)


@contextlib.contextmanager
def walking() -> Iterator[Walk]:
    """Operations on fake tensors, looked at."""
    with (
        torch.no_grad(),
        FakeTensorMode(allow_non_fake_inputs=True),
        mock.patch.object(nn.Module, "to", move),
        mock.patch.object(Tensor, "pin_memory", lambda t: t),
        mock.patch.object(Tensor, "copy_", copy_),
        mock.patch.object(Tensor, "contiguous", contiguous),
        mock.patch.object(Tensor, "__getitem__", getitem),
        mock.patch.object(Tensor, "__setitem__", setitem),
        Walk() as walk,
    ):
        yield walk


@contextlib.contextmanager
def autocast(dtype: torch.dtype | None) -> Iterator[None]:
    """``torch.autocast("cuda", dtype)``, which without a GPU switches itself off."""
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", dtype is not None)
    torch.set_autocast_dtype("cuda", dtype or before[1])
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", before[0])
        torch.set_autocast_dtype("cuda", before[1])
        torch.clear_autocast_cache()


def test_a_tensor_on_another_device_is_found():
    """Of a convolution, which fake tensors let pass, and of a sum."""
    with walking():
        conv = Conv(torch.zeros(4, 4, 3, 3), torch.zeros(4), 1, CUDA, torch.float32)
        m = torch.zeros(1, 4, 8, 8, device=CUDA)
        assert conv(m).device == CUDA
        conv.bias = torch.zeros(4)
        with pytest.raises(AssertionError, match="'cpu', 'cuda:0'"):
            conv(m)
        with pytest.raises(AssertionError, match="'cpu', 'cuda:0'"):
            m + torch.zeros(8)


@pytest.mark.parametrize(
    ("dtype", "number", "precision"),
    [
        ("float32", torch.float32, "ieee"),
        ("tf32", torch.float32, "tf32"),
        ("bfloat16", torch.bfloat16, "ieee"),
    ],
)
@pytest.mark.parametrize("name", ["S", "G", "B"])
def test_decoders(dtype, number, precision, name):
    model, tables = make_toy_model(), make_toy_expected()
    spec = model.spec
    module = spec.module(name)
    top, bins = module.resolutions[0], spec.bins
    with walking() as walk:
        cascade = FastCascade(model, CUDA, dtype)
        table = tables[160 if module.multi_chromosome else 40]
        decoder = BatchDecoder(cascade, CUDA, lambda m: [table], bins, 4)
        width = spec.encoder.widths[-1]
        base = torch.zeros(1, width, spec.window(top) // spec.base_bin, device=CUDA)
        encodings = cascade.encodings(module, base)
        segments = None
        if module.multi_chromosome:
            from orca_cool.genome.segments import Segment

            half = spec.window(top) // 2
            segments = [Segment("a", 0, half), Segment("b", 0, half, "-")]
        above: list[Tensor | None] = [None, None]
        parent = None
        for r in module.resolutions:
            window = Window(r, 0, parent, 0)
            strands = [
                strand_window(module, window, reverse, encodings, y, segments)
                for reverse, y in zip((False, True), above)
            ]
            maps = decoder.decode(module, r, strands)
            for y in maps:
                assert (y.shape, y.dtype, y.device) == ((1, 1, bins, bins), torch.float32, CUDA)
            above, parent = list(maps), 0
    seen = {(n, p) for device, n, p in walk.convolutions}
    assert {device for device, _, _ in walk.convolutions} == {"cuda"}
    assert (number, precision) in seen
    # pyramids, heads and last convolutions are in full float32 whatever is asked for
    assert seen <= {(number, precision), (number, "ieee"), (torch.float32, "ieee")}


@pytest.mark.parametrize(
    ("dtype", "number", "precision"),
    [
        ("float32", torch.float32, "ieee"),
        ("tf32", torch.float32, "tf32"),
        ("float16", torch.float16, "ieee"),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("ends", [(False, False), (True, True)])
def test_encoder(dtype, number, precision, reverse, ends):
    encoder = make_toy_model().encoder
    with walking() as walk:
        fast = FastEncoder(encoder, CUDA, dtype)
        fetch = lambda a, b: np.zeros(b - a, np.uint8)  # noqa: E731
        y = fast.span(fetch, 0, 4800, reverse=reverse, ends=ends)
        assert (y.shape, y.dtype, y.device) == ((8, 120), torch.float32, CUDA)
    assert walk.convolutions == {("cuda", number, precision)}


def test_copies_beside_the_computation(monkeypatch):
    """A stream of their own waits for what is computed, and numbers are read after it."""
    done: list[str] = []
    event = mock.Mock()
    event.synchronize.side_effect = lambda: done.append("synchronize")

    class Stream:
        def wait_stream(self, other):
            assert other == "current"
            done.append("wait")

        def record_event(self):
            done.append("event")
            return event

    @contextlib.contextmanager
    def within(stream):
        done.append("enter")
        yield
        done.append("leave")

    def numpy(t):
        assert t.device.type == "cpu"
        done.append("numpy")
        return np.zeros(tuple(t.shape), np.float32)

    def record(y, stream):
        done.append("record")

    plain = Tensor.copy_

    def copy(target, y, non_blocking=False):
        assert (y.device, target.device.type, non_blocking) == (CUDA, "cpu", True)
        done.append("copy")
        return plain(target, y)

    monkeypatch.setattr(many_roots, "_copies", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "current")
    monkeypatch.setattr(torch.cuda, "stream", within)
    with walking():
        maps = torch.zeros(2, 16, 16, device=CUDA)
        monkeypatch.setattr(many_roots, "averages", lambda pairs, number: (maps, maps))
        with (
            mock.patch.object(Tensor, "copy_", copy),
            mock.patch.object(Tensor, "numpy", numpy),
            mock.patch.object(Tensor, "record_stream", record),
        ):
            fetch = many_roots.fetching([(maps,)], 0)
            begun = list(done)
            assert len(fetch()) == 2
    assert begun == ["wait", "enter", "copy", "record", "copy", "record", "event", "leave"]
    assert done[len(begun)] == "synchronize"
    assert set(done[len(begun) + 1 :]) == {"numpy"}


# ---- training


def stage(parts: tuple[str, ...], name: str, **options: Any) -> StageNet:
    """A stage of the toy model that trains ``parts``."""
    model, tables = make_toy_model(), make_toy_expected()
    module = model.spec.module(name)
    table = tables[160 if module.multi_chromosome else 40]
    learning = set_trained(model, module, parts)
    positive = np.ones(2) if "profiles" in parts else None
    return StageNet(model, module, learning, [table], flank=400, positive=positive, **options)


def batch_of(net: StageNet, profiles: bool) -> Batch:
    """Two samples, with dots, NaN in the targets and labels."""
    assert net.module is not None
    bins, module = net.model.spec.bins, net.module
    window = net.model.spec.window(module.resolutions[0])
    maps = {r: torch.zeros(2, 1, bins, bins) for r in module.resolutions}
    base = window // net.model.spec.base_bin
    return Batch(
        torch.zeros(2, window + 800, dtype=torch.uint8),
        ["one", "two"],
        torch.zeros(2, 2, base) if profiles else None,
        {r: y.clone() for r, y in maps.items()},
        {r: [0, 0] for r in maps},
        maps if module.multi_chromosome else {},
        {r: y > 1 for r, y in maps.items()},
    )


def loss_of(net: StageNet, batch: Batch) -> Tensor:
    """The sums of a step's loss, as ``train/loop.py`` adds them."""
    maps, logits = net(batch)
    sums = [*map_sums(maps, batch.targets).values()]
    sums += dot_sums(maps, batch.targets, batch.dots).values()
    if logits is not None and batch.labels is not None:
        sums.append(net.profile_sums(logits, batch.labels).sum(dim=1))
    return torch.stack(sums).sum()


STAGES = [
    (("encoder", "base_decoder", "profiles"), "B"),
    (("p1", "decoders"), "S"),
    (("encoder", "p1", "decoders"), "S"),
    (("p2", "decoders"), "G"),
]


@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("parts", "name"), STAGES)
def test_the_forward_pass_of_training(parts, name, dtype):
    net = stage(parts, name, encoding_dropout=0.1)
    batch = batch_of(net, "profiles" in parts)
    # frozen encoders read codes as numpy, which fake tensors are not
    codes = batch.codes.numpy()
    with walking() as walk:
        net.to(CUDA)
        net.train()
        batch = batch.to(CUDA)
        with autocast(dtype), mock.patch.object(Tensor, "numpy", return_value=codes[0]):
            loss = loss_of(net, batch)
        assert (loss.device, loss.dtype) == (CUDA, torch.float32)
    numbers = {n for _, n, _ in walk.convolutions}
    assert {device for device, _, _ in walk.convolutions} == {"cuda"}
    assert (dtype or torch.float32) in numbers
    # the frozen encoder stays in float32
    assert numbers <= {dtype or torch.float32} | (set() if "encoder" in parts else {torch.float32})


@pytest.mark.parametrize(("parts", "name"), STAGES)
def test_the_backward_pass_keeps_to_one_device(parts, name):
    """On "meta": forward, losses, backward and the second run of the encoder's blocks."""
    net = stage(parts, name, encoding_dropout=0.1)
    net.to("meta")
    net.train()
    batch = batch_of(net, "profiles" in parts).to(torch.device("meta"))
    if "encoder" not in parts:  # what the fast encoder would give
        bins = batch.codes.shape[1] // 40
        net._encode = lambda batch: torch.zeros(2, 8, bins, device="meta")
    with Walk() as walk:
        loss_of(net, batch).backward()
    assert {device for device, _, _ in walk.convolutions} == {"meta"}
    for key, p in net.named_parameters():
        if p.requires_grad:
            assert p.grad is not None, key
            assert p.grad.device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_backward_pass_under_autocast(dtype):
    """On the CPU: number types fit in both runs of the encoder's blocks; gradients are float32."""
    net = stage(("encoder", "p1", "decoders"), "S")
    net.train()
    batch = batch_of(net, False)
    with torch.autocast("cpu", dtype=dtype):
        loss = loss_of(net, batch)
    loss.backward()
    assert loss.dtype == torch.float32
    grads = [p.grad for p in net.model.encoder.parameters()]
    assert all(g is not None and g.dtype == torch.float32 for g in grads)
