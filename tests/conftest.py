# SPDX-License-Identifier: Apache-2.0
"""What all tests share: environments on real physics, on the CPU, closed when the test ends."""

import pytest

from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
from omni.myriad.engine import SimConfig, make_engine


@pytest.fixture
def env_of():
    """Build environments from a command line; closes them all."""
    envs = []

    def build(*overrides):
        envs.append(make_env(load_config(["sim_device=cpu", *overrides])))
        return envs[-1]

    yield build
    for env in envs:
        env.close()


@pytest.fixture
def engine_of():
    """Build bare engines from a command line; closes them all."""
    engines = []

    def build(*overrides):
        engines.append(make_engine(SimConfig(load_config(["sim_device=cpu", *overrides]))))
        return engines[-1]

    yield build
    for engine in engines:
        engine.close()
