"""Pieces of work on the CPU's cores: in order, bounded, on one thread each, with the bits of a
single thread.
"""

import threading

import numpy as np
import pytest
import torch
from conftest import make_toy_model

from orca_cool.model.fast.encoder import FastEncoder
from orca_cool.model.fast.threads import ahead


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order_and_few_are_held(threads):
    begun = []

    def calls():
        for k in range(50):
            begun.append(k)
            yield lambda k=k: (k, threading.current_thread().name, torch.get_num_threads())

    seen = []
    for k, name, inside in ahead(calls()):
        seen.append(k)
        assert len(begun) - len(seen) <= 2 * threads
        assert inside == 1
        assert (name == "MainThread") == (threads == 1)
    assert seen == list(range(50))
    assert torch.get_num_threads() == threads


def test_an_error_is_raised_where_it_is_asked_for(threads):
    def call(k):
        if k == 3:
            raise ZeroDivisionError
        return k

    seen = []

    def take():
        for k in ahead((lambda k=k: call(k)) for k in range(10)):
            seen.append(k)

    with pytest.raises(ZeroDivisionError):
        take()
    assert seen == [0, 1, 2]
    assert list(ahead([lambda: 1])) == [1]  # and the threads are as good as before


def test_bits_do_not_depend_on_the_number_of_threads(threads):
    codes = np.random.default_rng(1).integers(0, 5, 200_000, dtype=np.uint8)
    fast = FastEncoder(make_toy_model().encoder)
    many = fast.span(lambda a, b: codes[a:b], 96_000, 104_000)
    torch.set_num_threads(1)
    assert torch.equal(many, fast.span(lambda a, b: codes[a:b], 96_000, 104_000))
