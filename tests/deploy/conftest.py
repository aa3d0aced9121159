# SPDX-License-Identifier: Apache-2.0
"""A Cartpole policy trained for a few epochs on real physics, and exported; the metadata of one without training."""

import pytest

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.task.terms import describe_terms


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The file of a short run, in its run's folder."""
    folder = tmp_path_factory.mktemp("runs")
    where = ["task=Cartpole", f"train_dir={folder}", "sim_device=cpu"]
    runs.train(load_config([*where, "max_iterations=8", "num_envs=64", "experiment=short"]))
    runs.export(load_config([*where, "checkpoint=short"]))
    return folder / "short" / "exported" / "policy.onnx"


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
