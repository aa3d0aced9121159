# SPDX-License-Identifier: Apache-2.0
"""The triangles of a grid of heights: as few as have the same surface."""

from __future__ import annotations

import numpy as np

_LONGEST = 16
"""Cells along an edge of what is joined: longer and thinner triangles get in the way of those who look for few."""


def height_field_mesh(
    heights: np.ndarray, cell: float, corner: tuple[float, float], wall_slope: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return points in m, (P, 3), and triangles, (T, 3), of a grid of heights in m.

    Without what is joined they are OmniIsaacGymEnvs': cells are cut along the diagonal from their first corner to the
    opposite one, and where neighbours differ by more than `wall_slope`, the lower one is moved below the upper one.
    """
    grid = _with_walls(heights, wall_slope * cell)
    points, triangles = _join(grid)
    points[:, :2] = points[:, :2] * cell + corner
    return points.astype(np.float32), triangles.astype(np.int32)


def _with_walls(heights: np.ndarray, rise: float) -> np.ndarray:
    """Return the points of a grid, in cells and m, (rows, columns, 3), those below walls moved by a cell."""
    rows, columns = heights.shape
    steep = rise + 1e-5  # a slope that is just as steep is none
    moves = [np.zeros((rows, columns), np.float32) for _ in range(3)]
    for move, (along, aside) in zip(moves, ((1, 0), (0, 1), (1, 1)), strict=True):
        lower, upper = heights[: rows - along, : columns - aside], heights[along:, aside:]
        move[: rows - along, : columns - aside] += upper - lower > steep
        move[along:, aside:] -= lower - upper > steep
    x, y = np.meshgrid(np.arange(rows, dtype=np.float32), np.arange(columns, dtype=np.float32), indexing="ij")
    x += moves[0] + moves[2] * (moves[0] == 0.0)
    y += moves[1] + moves[2] * (moves[1] == 0.0)
    return np.stack((x, y, heights), axis=-1)


def _join(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points, (P, 3), and triangles, (T, 3), with neighbouring cells in one plane as one parallelogram.

    Neighbours have their edges in common: what has points of others on its edges is cut from its middle to all of them.
    """
    rows, columns = grid.shape[:2]
    blocks = _blocks(grid)
    index = np.arange(rows * columns).reshape(rows, columns)
    used = np.zeros(rows * columns, bool)
    for i, j in ((0, 2), (0, 3), (1, 2), (1, 3)):
        used[index[blocks[:, i], blocks[:, j]]] = True
    flat, middles, triangles = grid.reshape(-1, 3), [], []
    num_points = rows * columns
    sizes = (blocks[:, 1] - blocks[:, 0]) * (_LONGEST + 1) + blocks[:, 3] - blocks[:, 2]
    corners = blocks[:, 0] * columns + blocks[:, 2]
    for size in np.unique(sizes):
        height, width = divmod(int(size), _LONGEST + 1)
        first = corners[sizes == size]
        # Around a block, from its first corner along the rows, and so to the left of who goes there.
        around = np.concatenate(
            (
                np.arange(height) * columns,
                height * columns + np.arange(width),
                np.arange(height, 0, -1) * columns + width,
                np.arange(width, 0, -1),
            ),
            dtype=np.int64,
        )
        edge = first[:, None] + around
        on_edge = used[edge]
        plain = on_edge.sum(axis=1) == 4
        b, c, d = width, height * columns, height * columns + width  # the other three corners, from the first one
        triangles += [first[plain][:, None] + np.array(half) for half in ((0, d, b), (0, c, d))]
        if plain.all():
            continue
        edge, on_edge, first = edge[~plain], on_edge[~plain], first[~plain]
        row, place = np.nonzero(on_edge)
        here, counts = edge[row, place], on_edge.sum(axis=1)
        after, ends = np.roll(here, -1), np.cumsum(counts)
        after[ends - 1] = here[ends - counts]
        triangles.append(np.stack((num_points + row, here, after), axis=-1))
        middles.append((flat[first] + flat[first + d]) / 2.0)
        num_points += len(first)
    joined = np.concatenate(triangles)
    points = np.concatenate((flat, *middles))
    kept = np.zeros(len(points), bool)
    kept[joined] = True
    return points[kept], (np.cumsum(kept) - 1)[joined]


def _blocks(grid: np.ndarray) -> np.ndarray:
    """Return what cells are joined to, (N, 4): its first row and the one after its last, and likewise columns."""
    # An edge's direction, as what it rises and gains to the other side on its way; none where it does not go forwards.
    along, aside = np.diff(grid, axis=0), np.diff(grid, axis=1)
    forward, right = along[..., 0], aside[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ahead = np.where((forward > 0)[..., None], along[..., 1:] / forward[..., None], np.nan)
        beside = np.where((right > 0)[..., None], aside[..., ::2] / right[..., None], np.nan)
    parallel = (along[:, :-1] == along[:, 1:]).all(axis=-1)  # cells that are parallelograms

    # Runs of cells in a row.
    rows, columns = parallel.shape
    same = (beside[:-1, :-1] == beside[:-1, 1:]).all(axis=-1)
    joins = parallel[:, :-1] & parallel[:, 1:] & same & (np.arange(1, columns) % _LONGEST != 0)
    starts = np.ones((rows, columns), bool)
    starts[:, 1:] = ~joins
    row, begin = np.nonzero(starts)
    end = np.append(begin[1:], columns)
    end[end == 0] = columns

    # Runs with the same columns, one row after another.
    order = np.lexsort((row, end, begin))
    row, begin, end = row[order], begin[order], end[order]
    same = (ahead[row[:-1], begin[:-1]] == ahead[row[1:], begin[1:]]).all(axis=-1)
    joins = (row[1:] == row[:-1] + 1) & (begin[1:] == begin[:-1]) & (end[1:] == end[:-1]) & same
    joins &= parallel[row[:-1], begin[:-1]] & parallel[row[1:], begin[1:]] & (row[1:] % _LONGEST != 0)
    first = np.flatnonzero(np.append(True, ~joins))
    last = np.append(first[1:], len(row)) - 1
    return np.stack((row[first], row[last] + 1, begin[first], end[first]), axis=-1)
