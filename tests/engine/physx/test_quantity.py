# SPDX-License-Identifier: Apache-2.0
"""Selections of rows: each shard gets its own rows' numbers, whatever the split."""

import ctypes
from types import SimpleNamespace
from typing import Any, cast

import torch
from hypothesis import given
from hypothesis import strategies as st

from omni.myriad.engine.physx.quantity import RowSelection


def selection_of(lengths):
    bindings = [SimpleNamespace(shape=(length,)) for length in lengths]
    return RowSelection(cast(Any, SimpleNamespace(data=torch.zeros(sum(lengths), 2), bindings=bindings)))


def numbers(selection, lengths):
    """Return the rows that each shard would send, read through the descriptors that PhysX gets."""
    found = []
    for shard in range(len(lengths)):
        rows = selection.rows_of(shard)
        numbers_of = [] if rows is None else ctypes.cast(rows.data, ctypes.POINTER(ctypes.c_int32))[: rows.shape[0]]
        found.append(list(numbers_of))
    return found


@given(st.data())
def test_each_shard_gets_its_rows(data):
    lengths = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    rows = sum(lengths)
    selection = selection_of(lengths)
    for _ in range(2):  # a selection is used again and again
        indices = data.draw(st.lists(st.integers(0, rows - 1), unique=True))
        selection.select(torch.tensor(indices, dtype=torch.int64))
        expected, start = [], 0
        for length in lengths:
            expected.append(sorted(index - start for index in indices if start <= index < start + length))
            start += length
        assert numbers(selection, lengths) == expected


@given(st.data())
def test_a_mask_of_environments_confines_them(data):
    rows_per_env = data.draw(st.integers(1, 3))
    envs = torch.tensor(data.draw(st.lists(st.booleans(), min_size=2, max_size=6)))
    rows = rows_per_env * len(envs)
    indices = data.draw(st.lists(st.integers(0, rows - 1), unique=True))
    selection = selection_of([rows]).select(torch.tensor(indices, dtype=torch.int64), envs)
    assert numbers(selection, [rows]) == [sorted(index for index in indices if envs[index // rows_per_env])]


def test_a_selection_knows_the_tensors_it_came_from():
    selection, indices, envs = selection_of([4]), torch.tensor([1, 2]), torch.tensor([True, False])
    selection.select(indices)
    assert selection.selects(indices) and not selection.selects(indices, envs)
    assert not selection.selects(indices.clone())
    indices[0] = 3
    assert not selection.selects(indices)
