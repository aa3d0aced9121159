# SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace
from typing import Any, cast

import pytest

from omni.myriad.engine.base import Scene, grid_positions
from omni.myriad.errors import MyriadError


class Robots(SimpleNamespace):
    """Views of one kind."""


class Bodies(SimpleNamespace):
    """Views of another kind."""


def test_views_are_registered_by_name_and_told_apart_by_kind():
    added, removed = [], []
    scene = Scene(cast(Any, Robots), cast(Any, Bodies), added.append, lambda *arguments: removed.append(arguments))
    ants, feet, marker = (
        scene.add(view) for view in (Robots(name="ants"), Bodies(name="feet"), SimpleNamespace(name="marker"))
    )
    assert added == scene.views() == [ants, feet, marker]
    assert scene.robots() == {"ants": ants} and scene.bodies() == {"feet": feet}
    assert scene.object_exists("feet") and scene.get_object("feet") is feet and scene.get_object("hands") is None
    with pytest.raises(MyriadError, match="already has a view named 'ants'"):
        scene.add(Robots(name="ants"))
    assert len(added) == 3
    scene.remove_object("feet", registry_only=True)
    assert removed == [("feet", True)] and not scene.object_exists("feet") and scene.bodies() == {}
    with pytest.raises(MyriadError, match="no view named 'feet'; it has: ants, marker"):
        scene.remove_object("feet")


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
