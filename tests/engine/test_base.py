# SPDX-License-Identifier: Apache-2.0
import pytest

from omni.myriad.engine.base import grid_positions


def test_four_environments_stand_as_grid_cloner_puts_them():
    assert grid_positions(4, 8.0) == [(4.0, -4.0, 0.0), (4.0, 4.0, 0.0), (-4.0, -4.0, 0.0), (-4.0, 4.0, 0.0)]


def test_one_environment_stands_at_the_origin():
    assert grid_positions(1, 5.0) == [(0.0, 0.0, 0.0)]


@pytest.mark.parametrize("num_envs", [2, 3, 5, 7, 12, 100, 257])
def test_neighbours_are_a_spacing_apart(num_envs):
    positions = grid_positions(num_envs, 3.0)
    assert len(set(positions)) == num_envs
    for i, (x, y, _) in enumerate(positions):
        nearest = min(((x - a) ** 2 + (y - b) ** 2) ** 0.5 for j, (a, b, _) in enumerate(positions) if j != i)
        assert nearest == pytest.approx(3.0)
