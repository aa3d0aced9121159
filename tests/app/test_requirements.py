# SPDX-License-Identifier: Apache-2.0
import importlib.metadata
import importlib.util
import sys
from pathlib import Path

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
    monkeypatch.delenv("ISAAC_PATH", raising=False)
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


def install(site: Path, **versions: str) -> None:
    """Leave what pip leaves of installed packages: the metadata by which they are recognised."""
    for name, version in versions.items():
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n")


@pytest.fixture
def isaac_folder(lacking, tmp_path, monkeypatch):
    """Isaac Sim 6.0.1 in a folder, with the packages that its Python finds."""
    folder = tmp_path / "isaac"
    install(folder / "site", torch="2.11.0+cu128", numpy="2.3.1")
    (folder / "VERSION").write_text("6.0.1-rc.7\n")
    monkeypatch.setenv("ISAACSIM_PATH", str(folder))
    monkeypatch.setattr(sys, "path", [str(folder / "site"), *sys.path])
    return folder


def test_isaac_sim_keeps_its_own_versions(lacking, isaac_folder):
    lacking("ovphysx", "pxr", "onnx")
    assert requirements.isaac_sim() == "6.0.1-rc.7"
    assert requirements.missing(("physx", "export")) == ["onnx"]
    pip = f"'{ROOT}/myriad' python -m pip install 'torch==2.11.0+cu128' 'numpy==2.3.1'"
    wanted = f"-c '{ROOT}/constraints/isaacsim-6.0.txt' -e '{ROOT}[export,test]'"
    assert requirements.install_command(("physx", "export", "dev")) == f"{pip} {wanted}"
    (isaac_folder / "VERSION").write_text("7.3.0\n")  # of which we know nothing
    assert requirements.install_command(("physx",)) == f"{pip} -e '{ROOT}'"


def test_isaac_sim_from_pip_is_recognised_by_its_metadata(lacking, tmp_path, monkeypatch):
    lacking("ovphysx", "pxr")
    assert requirements.isaac_sim() is None
    assert requirements.missing(("physx",)) == ["ovphysx", "pxr"]
    install(tmp_path, isaacsim="6.0.1.0", isaacsim_kernel="6.0.1.0", torch="2.11.0", numpy="2.3.1")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert requirements.isaac_sim() == "6.0.1.0"
    assert requirements.missing(("physx",)) == []
    pip = f"'{sys.executable}' -m pip install 'isaacsim==6.0.1.0' 'torch==2.11.0' 'numpy==2.3.1'"
    wanted = f"-c '{ROOT}/constraints/isaacsim-6.0.txt' -e '{ROOT}[export]'"
    assert requirements.install_command(("physx", "export")) == f"{pip} {wanted}"


def test_python_sh_is_recognised_by_what_it_exports(isaac_folder, monkeypatch):
    monkeypatch.delenv("ISAACSIM_PATH")
    monkeypatch.setenv("ISAAC_PATH", str(isaac_folder))
    assert requirements.isaac_sim() == "6.0.1-rc.7"


def test_isaac_sim_gets_no_other_torch_newton_or_warp(lacking, isaac_folder):
    lacking("torch", "imageio_ffmpeg")
    assert "its own torch alone" in requirements.advice(())
    assert "-m pip" not in requirements.advice(())
    lacking("imageio_ffmpeg")
    advice = requirements.advice(("physx", "export", "deploy"))
    assert advice.startswith("[deploy] cannot be had in the Python of Isaac Sim 6.0.1-rc.7") and "pip" not in advice


def test_an_installed_wheel_has_no_checkout_to_install_from(lacking, monkeypatch):
    monkeypatch.setattr(requirements, "IN_WHEEL", True)
    assert requirements.install_command(("physx",)) == f"'{sys.executable}' -m pip install 'myriad-rl[physx]'"
