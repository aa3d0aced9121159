# SPDX-License-Identifier: Apache-2.0
"""Pictures of cameras for people, and where forces press, by hand."""

import numpy as np
import pytest
import trimesh

from omni.myriad.viewer.pictures import seen, support

UP = np.array([0.0, 0.0, 1.0])
HERE = np.array([1.0, 2.0, 3.0, 1.0, 0.0, 0.0, 0.0])


def test_a_force_presses_where_a_body_is_touched_from():
    ball = trimesh.creation.icosphere(3, 0.5).vertices
    assert support(ball, HERE, 7.0 * UP) == pytest.approx([1.0, 2.0, 2.5], abs=0.02)
    box = trimesh.creation.box((0.2, 0.4, 0.6)).vertices
    assert support(box, HERE, UP) == pytest.approx([1.0, 2.0, 2.7]), "the middle of its lower face"
    quarter = np.array([1.0, 2.0, 3.0, np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0])  # about x: its y points up
    assert support(box, quarter, UP) == pytest.approx([1.0, 2.0, 2.8]), "which is half as deep now as it is wide"
    assert support(box, HERE, np.array([0.0, 3.0, 0.0])) == pytest.approx([1.0, 1.8, 3.0])
    assert support(None, HERE, UP) == pytest.approx(HERE[:3])


def test_pictures_of_all_kinds_are_colours_and_small_ones_are_enlarged():
    colours = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    shown = seen("rgba", colours)
    assert shown.shape == (240, 360, 3) and (shown[::120, ::120] == colours[..., :3]).all()
    depth = np.array([[[1.0], [3.0]], [[2.0], [np.inf]]], np.float32)
    near, far, middle, nothing = (
        int(seen("depth", depth)[row, column, 0]) for row, column in ((0, 0), (0, 239), (239, 0), (239, 239))
    )
    assert (near, far, nothing) == (255, 65, 0) and middle == 160
    assert (seen("depth", np.full((2, 2, 1), np.inf, np.float32)) == 0).all()
    normals = np.array([[[0.0, 0.0, 1.0, 0.0]]], np.float32)
    assert seen("normals", normals)[0, 0].tolist() == [127, 127, 255]
    labels = np.array([[[0], [1]]], np.int32)
    assert (seen("semantic_segmentation", labels)[0, 0] != seen("semantic_segmentation", labels)[0, -1]).any()
    assert seen("rgb", np.zeros((480, 640, 3), np.uint8)).shape == (480, 640, 3)
