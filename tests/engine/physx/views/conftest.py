# SPDX-License-Identifier: Apache-2.0
"""A fixture that starts PhysX on a scene authored in the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from omni.myriad.engine import SimConfig, make_engine

from .scenes import config

Simulate = Callable[..., Any]


@pytest.fixture(scope="module")
def simulate() -> Iterator[Simulate]:
    """Return a function that authors environment 0, adds views and starts physics; engines close with the module.

    `simulate(build, *views, num_envs=3, ground=False, start=True, **config)`: `build(stage)` authors environment 0.
    """
    engines = []

    def start_engine(build, *views, num_envs=3, ground=False, start=True, **options):
        engine = make_engine(SimConfig(config(**options)))
        engines.append(engine)
        if ground:
            engine.add_ground_plane("/World/ground", 1.0, 1.0, 0.0)
        build(engine.stage)
        engine.clone_environments(num_envs, 4.0)
        for view in views:
            engine.scene.add(view)
        if start:
            engine.reset()
        return engine

    yield start_engine
    for engine in engines:
        engine.close()
