# SPDX-License-Identifier: Apache-2.0
"""What all tests share: environments on real physics, on the CPU, closed when the test ends."""

from typing import NamedTuple

import pytest

from omni.myriad.__main__ import main
from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
from omni.myriad.engine import SimConfig, make_engine
from omni.myriad.task.terms import describe_terms


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


class Done(NamedTuple):
    """What a command left: its exit code, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def myriad(tmp_path, monkeypatch, capsys):
    """Run Myriad's command line from a scratch folder: all but the process of its own, whose imports take seconds."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def views_take_nan(monkeypatch):
    """Views refuse NaN in an argument's first uses: let those be over."""
    monkeypatch.setattr("omni.myriad.engine.view._FIRST_LOOKS", 0)


@pytest.fixture
def metadata_of():
    """Return the part of a policy file's metadata that a robot needs, from its task alone."""

    def describe(env, view):
        task = env.task
        names = view.dof_names

        def row(values):
            return values[0].tolist()

        return {
            "timing": {"physics_dt": env.engine.physics_dt, "decimation": task.control_frequency_inv},
            "conventions": {"gravity": task.task_config["sim"]["gravity"]},
            "joints": {
                "names": list(names),
                "stiffness": row(view.get_gains()[0]),
                "damping": row(view.get_gains()[1]),
                "armature": row(view.get_armatures()),
            },
            "observations": {"terms": describe_terms("observation", task.observation_terms(), task.num_observations)},
            "config": {"task": task.task_config},
        }

    return describe
