# SPDX-License-Identifier: Apache-2.0
"""Our ant in DART is our ant: its weight, its joints, and it stands. DART comes with [peers] alone."""

import numpy as np
import pytest

from omni.myriad.benchmark.peers import ANT

pytest.importorskip("dartpy")


def test_the_ant_stands_on_four_feet_and_moves_when_it_is_driven():
    from omni.myriad.benchmark.dart import DartAnt

    ant = DartAnt(ANT, dt=1 / 120, decimation=2, max_effort=0.0)
    assert ant.robot.getMass() == pytest.approx(0.91088, abs=1e-4)
    assert ant.robot.getNumDofs() == 14
    for _ in range(180):
        ant.step()
    rest = ant.robot.getPositions()
    assert ant.world.getLastCollisionResult().getNumContacts() == 4
    assert 0.2 < rest[5] < 0.6
    np.testing.assert_allclose(rest[:5], 0.0, atol=0.05)
    ant._max_effort = 7.5
    for _ in range(60):
        ant.step()
    assert np.abs(ant.robot.getPositions()[6:] - rest[6:]).max() > 0.1
    assert np.isfinite(ant.robot.getPositions()).all()
