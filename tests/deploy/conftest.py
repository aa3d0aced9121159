# SPDX-License-Identifier: Apache-2.0
"""A Cartpole policy trained for a few epochs on real physics, and exported."""

import pytest

from omni.myriad.app import runs
from omni.myriad.app.config import load_config


def export(folder, *overrides):
    where = ["task=Cartpole", f"train_dir={folder}", "sim_device=cpu", *overrides]
    runs.train(load_config([*where, "max_iterations=8", "num_envs=64", "experiment=short"]))
    runs.export(load_config([*where, "checkpoint=short"]))
    return folder / "short" / "exported" / "policy.onnx"


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The file of a short run, in its run's folder."""
    return export(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def exported_with_memory(tmp_path_factory):
    """The same with an LSTM."""
    return export(tmp_path_factory.mktemp("runs"), "train=CartpoleLSTMPPO")
