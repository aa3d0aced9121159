# SPDX-License-Identifier: Apache-2.0
"""Garbage is not looked for while something starts, and is again afterwards, whatever happened."""

import gc

import pytest

from omni.myriad.env.garbage import uncollected


def test_garbage_is_looked_for_again_after_a_start_that_failed():
    assert gc.isenabled()
    with pytest.raises(ValueError, match="failed"), uncollected():
        assert not gc.isenabled()
        raise ValueError("failed")
    assert gc.isenabled()


def test_who_looks_for_none_is_left_alone():
    gc.disable()
    try:
        with uncollected(), uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
