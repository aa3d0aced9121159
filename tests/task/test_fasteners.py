# SPDX-License-Identifier: Apache-2.0
"""Nuts and bolts: diameters as in ISO's tables, closed surfaces, volumes, and threads that leave each other room."""

import math

import numpy as np
import pytest

from omni.myriad.task.fasteners import M16, Fastener

BOLT, NUT = M16.bolt(), M16.nut()
PITCH = M16.pitch


def test_diameters_are_those_of_the_tables():
    # ISO 965-2, M16, 6g: major 15.682 to 15.962, pitch 14.503 to 14.663; 6H: pitch 14.701 to 14.913, minor 13.835 to
    # 14.210 mm. The middles of formulas that are not rounded are within 4 micrometres of those.
    major, pitch, root = M16.bolt_diameters()
    assert major == pytest.approx(0.5e-3 * (15.682 + 15.962), abs=4e-6)
    assert pitch == pytest.approx(0.5e-3 * (14.503 + 14.663), abs=4e-6)
    assert root < 13.546e-3  # d - 1.2269 P
    outer, pitch, minor = M16.nut_diameters()
    assert pitch == pytest.approx(0.5e-3 * (14.701 + 14.913), abs=4e-6)
    assert minor == pytest.approx(0.5e-3 * (13.835 + 14.210), abs=4e-6)
    assert outer > 16e-3


@pytest.mark.parametrize(("mesh", "holes"), [(BOLT, 0), (NUT, 1)])
def test_surfaces_are_closed_and_turned_outward(mesh, holes):
    edges = [tuple(edge) for i, j in ((0, 1), (1, 2), (2, 0)) for edge in mesh.triangles[:, [i, j]]]
    assert len(set(edges)) == len(edges)
    assert {edge[::-1] for edge in edges} == set(edges)
    assert len(mesh.points) - len(edges) // 2 + len(mesh.triangles) == 2 - 2 * holes  # Euler's number
    assert mesh.volume() > 0.0


def test_sizes_and_volumes():
    hexagon = math.sqrt(3) / 2 * 0.024**2
    np.testing.assert_allclose(np.ptp(BOLT.points, axis=0), (0.024, 0.048 / math.sqrt(3), 0.041), atol=1e-8)
    np.testing.assert_allclose(NUT.points.min(axis=0), (-0.012, -0.024 / math.sqrt(3), 0.016), atol=1e-8)
    # A thread has the volume of a cylinder of its pitch diameter, more or less; chamfers take a little.
    assert BOLT.volume() == pytest.approx(hexagon * 0.016 + math.pi * 0.00729**2 * 0.025, rel=0.01)
    assert NUT.volume() == pytest.approx((hexagon - math.pi * 0.0074**2) * 0.013, rel=0.03)


def radii(mesh, angle, low, high):
    """Return heights and radii of the points at an angle about the axis, between two heights, hexagons aside."""
    x, y, z = mesh.points.T
    radius = np.hypot(x, y)
    off = np.abs((np.arctan2(y, x) - angle + math.pi) % (2 * math.pi) - math.pi)
    kept = (off < 1e-4) & (z > low) & (z < high) & (radius < 0.0085) & (radius > 0.005)
    return z[kept], radius[kept]


def test_threads_are_right_handed_and_of_that_pitch():
    for quarter in range(4):
        z, radius = radii(BOLT, quarter * math.pi / 2, 0.018, 0.036)
        crests = z[radius > radius.max() - 1e-9]
        shifted = (crests / PITCH - quarter / 4 + 0.5) % 1.0 - 0.5  # a quarter of a turn rises by a quarter of a pitch
        assert np.abs(shifted).max() < 0.1 and len(crests) >= 3 * 8


def test_flanks_are_as_far_from_each_other_as_the_tolerances_say():
    _, bolt, _ = M16.bolt_diameters()
    _, nut, _ = M16.nut_diameters()
    z, inner = radii(BOLT, 0.0, 0.017, 0.028)
    heights, outer = radii(NUT, 0.0, 0.0185, 0.0265)
    order = np.argsort(z)
    gap = outer - np.interp(heights, z[order], inner[order])
    assert gap.min() == pytest.approx(0.5 * (nut - bolt), rel=0.05)  # on the flanks, 0.11 mm


def test_another_size():
    m8 = Fastener(0.008, 0.00125, 0.013, 0.0065, 0.008, 0.018)
    assert m8.bolt().volume() > m8.nut().volume() > 0.0
