"""What the C library keeps of memory that is no longer used, given back to the system."""

from __future__ import annotations

import ctypes

#: The parameter of glibc's mallopt (malloc.h) that limits the number of heaps.
_ARENA_MAX = -8


def trim() -> None:
    """Give the heap's free pages back to the system. Other allocators than glibc's have no such
    function.
    """
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def use_few_heaps() -> None:
    """Let all threads share two heaps: glibc has eight for each processor otherwise, and what is
    freed in one is of no use to the others. To be called before threads are started.
    """
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_ARENA_MAX, 2)
