"""The cyclic garbage collector, kept out of work that only builds up."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_alone() -> Iterator[None]:
    """No collection inside the block (or, as a decorator, the function).

    A tree of a hundred thousand objects that only grows is looked through again and again while
    it is built, which doubles the time. Reference counts still free what is done with.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
