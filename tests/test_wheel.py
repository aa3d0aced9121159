# SPDX-License-Identifier: Apache-2.0
"""A wheel carries all that it takes to train in an empty folder."""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("tasks", "cfg", "assets", "policies")


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, env={"PATH": "/bin"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return a wheel that was built from a copy, because setuptools leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in (*FOLDERS, "omni"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    code = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    run(sys.executable, "-c", code, cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def test_a_wheel_holds_tasks_configuration_assets_and_the_command(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".mp4"
    }
    assert "tasks/classic/cartpole.py" in wanted and {f"omni/myriad/_data/{name}" for name in wanted} <= names
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "omni").rglob("*.py")} <= names
    assert "omni/__init__.py" not in names
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"omni"}
    (scripts,) = (name for name in names if name.endswith("entry_points.txt"))
    assert "myriad = omni.myriad.__main__:main" in zipfile.ZipFile(wheel).read(scripts).decode()


def test_an_installed_wheel_finds_its_own_files(wheel, tmp_path):
    installed = tmp_path / "site-packages"
    zipfile.ZipFile(wheel).extractall(installed)
    (tmp_path / "empty").mkdir()
    code = (
        f"import sys; sys.path[:0] = [{str(installed)!r}]\n"
        "from omni.myriad.app.config import load_config\n"
        "from omni.myriad.task.loader import load_task_class\n"
        "from omni.myriad.task.rl_task import ASSETS_PATH\n"
        "from omni.myriad import provenance\n"
        "print(load_config(['task=Ant', 'sim_device=cpu'])['task']['name'], load_task_class('Ant', []).__name__)\n"
        "print(ASSETS_PATH / 'ant', (ASSETS_PATH / 'ant/ant.usda').is_file(), provenance.git_revision())\n"
    )
    said = run(sys.executable, "-I", "-c", code, cwd=tmp_path / "empty").splitlines()
    assert said == ["Ant Ant", f"{installed}/omni/myriad/_data/assets/ant True None"]


@pytest.mark.nightly
def test_a_wheel_in_a_bare_environment_trains_in_an_empty_folder(wheel, tmp_path):
    venv.create(tmp_path / "venv", symlinks=True, with_pip=True)
    bin_folder, empty = tmp_path / "venv/bin", tmp_path / "empty"
    empty.mkdir()
    install = ("-I", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", f"{wheel}[physx]")
    subprocess.run([bin_folder / "python", *install], cwd=empty, check=True)
    said = run(bin_folder / "myriad", "train", "task=Cartpole", "max_iterations=2", "experiment=short", cwd=empty)
    assert "Play:  myriad play task=Cartpole checkpoint=runs/short" in said
    assert (empty / "runs/short/checkpoints/last.pth").is_file()
    said = run(bin_folder / "myriad", "play", "task=Cartpole", "checkpoint=runs/short", "episodes=4", cwd=empty)
    assert "4 episodes" in said
