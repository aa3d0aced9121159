# SPDX-License-Identifier: Apache-2.0
"""Python's search for garbage in cycles, put off while much is made of which nothing is garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage while the context lasts.

    Whoever starts makes hundreds of thousands of objects, such as a path of each clone for each quantity of PhysX and
    all of torch's compiler, and each few hundred of them Python would look whether they are garbage yet: that was more
    than half of the time to name 65,536 clones.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
