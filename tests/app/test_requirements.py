# SPDX-License-Identifier: Apache-2.0
import importlib.metadata
import importlib.util
import sys

import pytest

from omni.myriad.app import requirements
from omni.myriad.places import ROOT


@pytest.fixture
def lacking(monkeypatch):
    """Let this Python lack some modules."""
    real = importlib.util.find_spec

    def lack(*modules):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in modules else real(name))

    monkeypatch.delenv("ISAACSIM_PATH", raising=False)
    return lack


def texts(extra=""):
    return [str(one) for one in requirements.requirements(extra)]


def test_bounds_are_those_of_pyproject_in_a_checkout_as_in_a_wheel(monkeypatch):
    read = [texts(), texts("physx"), texts("export")]
    assert "rl-games<2,>=1.6.5" in read[0] and any(text.startswith("ovphysx==0.7.0.*") for text in read[1])
    packed = ["rl-games<2,>=1.6.5", "onnx>=1.17; extra == 'export'"]
    monkeypatch.setattr(requirements, "IN_WHEEL", True)
    monkeypatch.setattr(importlib.metadata, "requires", {"myriad-rl": packed}.get)
    assert (texts(), texts("physx")) == (packed[:1], []) and texts("export")[0].startswith("onnx>=1.17")


def test_what_is_missing_gets_the_command_that_installs_it(lacking):
    assert requirements.missing(("physx", "export", "dev")) == []
    lacking("rl_games", "pytest", "mujoco")
    assert requirements.missing(("physx", "export", "dev")) == ["rl_games", "pytest"]
    assert (
        requirements.install_command(("physx", "export", "dev"))
        == f"'{sys.executable}' -m pip install -c '{ROOT}/constraints.txt' -e '{ROOT}[physx,export,dev]'"
    )


def test_isaac_sim_never_gets_our_physx(lacking, monkeypatch):
    lacking("ovphysx", "pxr")
    assert requirements.missing(("physx",)) == ["ovphysx", "pxr"]
    monkeypatch.setenv("ISAACSIM_PATH", "/isaac")
    assert requirements.missing(("physx",)) == []
    assert requirements.install_command(("physx",)) == f"'/isaac/python.sh' -m pip install -e '{ROOT}'"
    wanted = f"-e '{ROOT}[export,dev]'"
    assert requirements.install_command(("physx", "export", "dev")) == f"'/isaac/python.sh' -m pip install {wanted}"


def test_an_installed_wheel_has_no_checkout_to_install_from(lacking, monkeypatch):
    monkeypatch.setattr(requirements, "IN_WHEEL", True)
    assert requirements.install_command(("physx",)) == f"'{sys.executable}' -m pip install 'myriad-rl[physx]'"
