"""One thread for numerical libraries, so that a sum comes out the same on machines with few and with many cores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from metalcx.corpora._environment import environment

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch, BLAS and OpenMP to one thread; afterwards they have what they had before."""
    # Loaded here although the work may not need it: a torch that the work is first to load could not be given back
    # the threads that it would have had. Other libraries loaded later read the environment.
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    with environment(**dict.fromkeys(_VARIABLES, "1")), threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
