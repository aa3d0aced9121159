# SPDX-License-Identifier: Apache-2.0
"""The versions of constraints.txt and constraints/ can be had, and leave Isaac Sim's packages as they are.

Resolved from metadata alone, every night: nothing is installed, and nothing of Isaac Sim's is downloaded or run.
"""

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from omni.myriad.app.requirements import requirements
from omni.myriad.places import ROOT

ISAAC_SIM = {"5.1": "3.11", "6.0": "3.12"}
"""Versions of Isaac Sim that have a file of constraints, with their Python."""
POSSIBLE = ("export", "wandb", "test")
"""Extras that can be had in Isaac Sim's Python."""


def pins(text: str) -> dict[str, str]:
    """Return the version of each package that is pinned without a marker, by its normalised name."""
    lines = re.findall(r"^([\w.-]+)==([\w.+]+) *(?:#.*)?$", text, re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in lines}


def of_isaac_sim(version: str) -> dict[str, str]:
    return pins((ROOT / f"constraints/isaacsim-{version}.txt").read_text())


def resolve(tmp_path: Path, python: str, constraints: str, *wanted: str) -> tuple[dict[str, str], str]:
    """Return the versions that a resolver finds for a Python on Linux, or none and what it says."""
    (tmp_path / "wanted.in").write_text("\n".join(wanted))
    uv = [Path(sysconfig.get_path("scripts"), "uv"), "pip", "compile", "--quiet", "--no-config", "--no-annotate"]
    where = ["--python-version", python, "--python-platform", "x86_64-manylinux_2_35"]
    kept = ["--constraint", str(ROOT / constraints)] if constraints else []
    done = subprocess.run([*uv, *where, *kept, tmp_path / "wanted.in"], cwd=ROOT, capture_output=True, text=True)
    return (pins(done.stdout) if done.returncode == 0 else {}), done.stderr


def texts(*extras: str) -> list[str]:
    """Return what Myriad with these extras requires, without its own name and without markers of extras."""
    found = []
    for extra in ("", *extras):
        for one in requirements(extra):
            if one.name == "myriad-rl":
                found += texts(*one.extras)
            else:
                found.append(str(Requirement(str(one).partition(";")[0])))
    return found


@pytest.mark.parametrize("version", ISAAC_SIM)
def test_isaac_sims_versions_are_those_that_myriad_allows(version):
    pinned = of_isaac_sim(version)
    for one in map(Requirement, texts(*POSSIBLE)):
        assert one.name.lower() in pinned, f"{one.name} is free to bring anything"
        assert one.specifier.contains(pinned[one.name.lower()]), one.name


@pytest.mark.nightly
@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_everything_can_be_had_on_every_python(tmp_path, python):
    found, said = resolve(
        tmp_path, python, "constraints.txt", *texts("physx", "newton", "export", "deploy", "wandb", "sweep", "dev")
    )
    assert found.get("torch") == pins((ROOT / "constraints.txt").read_text())["torch"], said


@pytest.mark.nightly
@pytest.mark.parametrize("version", ISAAC_SIM)
def test_extras_move_nothing_of_isaac_sims(tmp_path, version):
    found, said = resolve(tmp_path, ISAAC_SIM[version], f"constraints/isaacsim-{version}.txt", *texts(*POSSIBLE))
    pinned = of_isaac_sim(version)
    assert {"torch", "numpy", "click", "typing-extensions", "ml-dtypes"} <= set(found), said
    assert {name: found[name] for name in found if name in pinned} == {
        name: pinned[name] for name in found if name in pinned
    }
    loose, _ = resolve(tmp_path, ISAAC_SIM[version], "", *texts(*POSSIBLE))
    assert loose["numpy"] != pinned["numpy"] and loose["torch"] != pinned["torch"]  # what the file is there for


@pytest.mark.nightly
def test_isaac_sim_of_the_package_index_has_the_versions_of_our_file(tmp_path):
    theirs, said = resolve(tmp_path, "3.12", "", *texts("isaacsim"))
    pinned = of_isaac_sim("6.0")
    shared = set(theirs) & set(pinned)
    assert {"torch", "numpy", "click", "typing-extensions", "newton"} <= shared, said
    assert {name: pinned[name] for name in shared} == {name: theirs[name] for name in shared}
    together, said = resolve(tmp_path, "3.12", "constraints/isaacsim-6.0.txt", *texts("isaacsim", *POSSIBLE))
    assert {"isaacsim-kernel", "onnxruntime"} <= set(together), said
    for python in ("3.11", "3.13"):
        assert not resolve(tmp_path, python, "", *texts("isaacsim"))[0]


@pytest.mark.nightly
@pytest.mark.parametrize("extra", ["physx", "newton", "deploy", "dev"])
def test_extras_that_isaac_sim_excludes_do_not_resolve_beside_it(tmp_path, extra):
    found, said = resolve(tmp_path, "3.12", "", *texts("isaacsim", extra))
    assert not found and "newton" in said
