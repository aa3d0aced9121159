# SPDX-License-Identifier: Apache-2.0
"""Triangles of a grid of heights: few, with the same surface and without gaps."""

import numpy as np
import pytest
import torch

from omni.myriad.engine.height_field import _with_walls, height_field_mesh
from omni.myriad.task.terrain import USUAL, Terrain

CELL = 0.1


@pytest.fixture(scope="module")
def ground():
    """Return the heights of the usual kinds of tiles, with walls where they are steep, and a flat border."""
    kinds = {name: {**kind, "share": 1.0} for name, kind in USUAL.items()}
    settings = {"kinds": kinds, "levels": 2, "columns": 7, "tile": 6.0, "border": 3.0, "cell": CELL}
    return Terrain(settings, torch.device("cpu")).heights.numpy()


def every_cell(heights, wall_slope):
    """Return points and triangles with two triangles in each cell."""
    points = _with_walls(heights, wall_slope * CELL) * (CELL, CELL, 1.0)
    rows, columns = heights.shape
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    quads = np.stack([first, first + columns, first + columns + 1, first + 1], axis=-1)
    return points.reshape(-1, 3), np.concatenate((quads[:, [0, 2, 3]], quads[:, [0, 1, 2]]))


def heights_at(points, triangles, places):
    """Return the highest z of triangles above places, (N, 2)."""
    a, b, c = (points[triangles[:, i]].astype(np.float64) for i in range(3))
    (ux, uy), (vx, vy) = (b - a)[:, :2].T, (c - a)[:, :2].T
    area = ux * vy - uy * vx
    a, ux, uy, vx, vy, area, b, c = (part[area > 1e-9] for part in (a, ux, uy, vx, vy, area, b, c))
    heights = []
    for x, y in places:
        dx, dy = x - a[:, 0], y - a[:, 1]
        s, t = (dx * vy - dy * vx) / area, (ux * dy - uy * dx) / area
        over = (s >= -1e-9) & (t >= -1e-9) & (s + t <= 1.0 + 1e-9)
        z = a[over, 2] + s[over] * (b[over, 2] - a[over, 2]) + t[over] * (c[over, 2] - a[over, 2])
        heights.append(z.max())
    return np.array(heights)


def normals_of(points, triangles):
    a, b, c = (points[triangles[:, i]].astype(np.float64) for i in range(3))
    return np.cross(b - a, c - a) / 2.0


@pytest.mark.parametrize("wall_slope", [0.5, 1e9])
def test_joined_cells_have_the_surface_of_single_ones(ground, wall_slope):
    points, triangles = height_field_mesh(ground, CELL, (0.0, 0.0), wall_slope)
    expected = every_cell(ground, wall_slope)
    places = np.random.default_rng(0).uniform(0.01, CELL * (np.array(ground.shape) - 1) - 0.01, (400, 2))
    np.testing.assert_allclose(
        heights_at(points, triangles, places), heights_at(*expected, places), atol=1e-5, rtol=0.0
    )
    areas, expected_areas = (
        np.linalg.norm(normals_of(*mesh), axis=-1).sum() for mesh in ((points, triangles), expected)
    )
    assert areas == pytest.approx(expected_areas, rel=1e-5), "walls, too"
    assert len(triangles) < 0.4 * len(expected[1])
    up, expected_up = (normals_of(*mesh)[:, 2] for mesh in ((points, triangles), expected))
    assert up[up < 0.0].sum() == pytest.approx(expected_up[expected_up < 0.0].sum(), abs=1e-3), "look up, but for folds"


def test_triangles_have_their_edges_in_common(ground):
    points, triangles = height_field_mesh(ground, CELL, (0.0, 0.0), 0.5)
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=-1)
    edges, counts = np.unique(edges, axis=0, return_counts=True)
    assert counts.max() == 2
    alone = points[edges[counts == 1]][..., :2]
    ends = CELL * (np.array(ground.shape) - 1.0)
    at_the_rim = np.isclose(alone, 0.0, atol=1e-5).all(axis=1) | np.isclose(alone, ends, atol=1e-4).all(axis=1)
    assert at_the_rim.any(axis=-1).all(), "a gap would have edges of its own"


def test_flat_ground_is_a_few_squares_and_a_ramp_a_few_rectangles():
    points, triangles = height_field_mesh(np.full((33, 65), 0.25, np.float32), CELL, (-1.0, 2.0), 0.5)
    assert len(triangles) == 2 * 2 * 4 and len(points) == 3 * 5
    np.testing.assert_allclose(points.min(axis=0), [-1.0, 2.0, 0.25])
    np.testing.assert_allclose(points.max(axis=0), [2.2, 8.4, 0.25], rtol=1e-6)
    ramp = np.repeat(np.arange(17, dtype=np.float32)[:, None] / 32, 17, axis=1)
    assert len(height_field_mesh(ramp, CELL, (0.0, 0.0), 1e9)[1]) == 2


def test_a_step_is_a_wall_below_its_upper_edge():
    heights = np.zeros((4, 9), np.float32)
    heights[2:] = 0.3  # three times as steep as what becomes a wall
    points, triangles = height_field_mesh(heights, CELL, (-1.0, 2.0), 1.0)
    assert sorted(set(points[:, 0].round(4).tolist())) == pytest.approx([-1.0, -0.8, -0.75, -0.7]), "one in a middle"
    normals = normals_of(points, triangles)
    wall = (np.abs(normals[:, 2]) < 1e-6) & (np.linalg.norm(normals, axis=-1) > 1e-6)
    assert points[triangles[wall]][..., 0] == pytest.approx(-0.8, abs=1e-6)
    np.testing.assert_allclose(normals[wall].sum(axis=0), [-0.3 * 0.75, 0.0, 0.0], atol=1e-6)  # the last one is cut
    assert wall.sum() <= 4 and len(triangles) < 16, "of 48 in single cells"
