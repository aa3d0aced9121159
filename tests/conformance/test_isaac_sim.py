# SPDX-License-Identifier: Apache-2.0
"""Isaac Sim's own Python, unmodified, on standalone PhysX: does the Isaac Sim engine work, and do our views agree?

Needs checkouts of Isaac Sim in the folder that ISAACSIM_SRC names, and SciPy, which Isaac Sim imports:

    for tag in v5.1.0 v6.0.1; do
      git clone --depth 1 --filter=blob:none --sparse --branch $tag \\
        https://github.com/isaac-sim/IsaacSim.git ~/isaacsim-src/$tag
      git -C ~/isaacsim-src/$tag sparse-checkout set --no-cone /VERSION '/source/*/isaacsim.core.*' \\
        '/source/*/isaacsim.simulation_app' '/source/*/isaacsim.sensors.camera'
    done
    ./myriad python -m pip install scipy
    ISAACSIM_SRC=~/isaacsim-src ./myriad test tests/conformance
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from . import ending, scenario, signatures, view_calls, view_table

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TAGS = ("v5.1.0", "v6.0.1")
VIEWS = ("ArticulationView", "RigidPrimView")
TIMEOUT_S = 240


def checkout(tag: str) -> Path:
    """Return the checkout of a tag, or skip the test and say how to get it."""
    folder = Path(os.environ.get("ISAACSIM_SRC", "/nonexistent")).expanduser() / tag
    if not (folder / "source").is_dir():
        pytest.skip(f"set ISAACSIM_SRC to a folder with a checkout of Isaac Sim in {tag}/: see {Path(__file__).name}")
    if importlib.util.find_spec("scipy") is None:
        pytest.skip("Isaac Sim's Python needs SciPy: ./myriad python -m pip install scipy")
    return folder


@functools.cache
def run(scenario: str, tag: str | None = None) -> dict[str, Any]:
    """Run a scenario on Isaac Sim's Python, or on our own engine for tag None, and return what it returned.

    In a process of its own, since what stands in for Kit replaces modules for good.
    """
    source = [str(checkout(tag))] if tag else []
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "result.pt"
        command = [sys.executable, str(HERE / "scenario.py"), scenario, str(output), *source]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        assert done.returncode == 0, (
            f"{scenario} on {tag or 'our engine'}:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        )
        return torch.load(output, weights_only=False)


# -- our tasks on the Isaac Sim engine ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", TAGS)
def test_tasks_run_whole(tag: str) -> None:
    results = run("tasks", tag)

    assert results["version"] == f"Isaac Sim {tag[1:]}"
    for task in ("Cartpole", "Ant"):
        rollout = results[task]
        assert torch.isfinite(rollout["observations"]).all()
        assert rollout["dones"].any()  # so environments were reset on the way
    assert results["Ant"]["time_outs"].any()
    assert results["training"]["status"] == "finished"
    assert results["training"]["engine"] == "isaacsim"
    assert results["training"]["reward_mean"] > 20.0  # random actions get 9 to 10


PARTED = {"Anymal": 0.005}
"""The share of steps in which environments may differ all the same: see docs/isaac-sim.md for the order of shapes."""


def assert_the_same(ours: dict[str, Any], theirs: dict[str, Any], tasks: Iterable[str]) -> None:
    different = {}
    for task in tasks:
        for name in ("observations", "rewards", "dones", "time_outs"):
            a, b = theirs[task][name].float(), ours[task][name].float()
            parted = (a != b).reshape(*a.shape[:2], -1).any(-1)
            if parted.float().mean() > PARTED.get(task, 0.0):
                different[task, name] = float((a - b).abs().max()), parted.nonzero()[:5].tolist()
        assert torch.isfinite(theirs[task]["observations"]).all()
    assert different == {}, "by how much, and the first steps and environments"


@pytest.mark.parametrize("task", ["Cartpole", "Ant"])
@pytest.mark.parametrize("tag", TAGS)
def test_a_thousand_steps_are_those_of_standalone_physx(tag: str, task: str) -> None:
    assert_the_same(run("tasks"), run("tasks", tag), [task])


@pytest.mark.parametrize("tag", TAGS)
def test_steps_of_the_other_tasks_are_those_of_standalone_physx(tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYRIAD_STEPS", "100")
    assert_the_same(run("others"), run("others", tag), scenario.OTHERS)


@pytest.mark.nightly
@pytest.mark.parametrize("tag", TAGS)
def test_a_thousand_steps_of_the_other_tasks_are_those_of_standalone_physx(
    tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.cache_clear()
    monkeypatch.setenv("MYRIAD_STEPS", str(scenario.STEPS))
    try:
        assert_the_same(run("others"), run("others", tag), scenario.OTHERS)
    finally:
        run.cache_clear()


@pytest.mark.parametrize("tag", TAGS)
def test_what_changes_by_chance_does_so_as_on_standalone_physx(tag: str) -> None:
    assert_the_same(run("chance"), run("chance", tag), ["Ant", "BallBalance"])


@pytest.mark.parametrize("tag", TAGS)
def test_props_in_flung_drawers_move_as_on_standalone_physx(tag: str) -> None:
    ours, theirs = run("drawers"), run("drawers", tag)

    props = ours["FrankaCabinet"]["props"]
    assert (props[..., :3] - props[0, ..., :3]).norm(dim=-1).amax(dim=(0, 2)).min() > 0.1, "m, in each environment"
    assert_the_same(ours, theirs, ["FrankaCabinet"])
    assert torch.equal(theirs["FrankaCabinet"]["props"], props)


@pytest.mark.nightly
@pytest.mark.parametrize("tag", TAGS)
def test_a_scripted_hand_lifts_cubes_as_on_standalone_physx(tag: str) -> None:
    ours, theirs = run("lifting"), run("lifting", tag)

    assert all((ours[task]["heights"] > 0.2).all() for task in scenario.LIFTING), "m, in each environment"
    assert_the_same(ours, theirs, scenario.LIFTING)


@pytest.mark.nightly
@pytest.mark.parametrize("tag", TAGS)
def test_nuts_and_bolts_touch_by_distance_fields_as_on_standalone_physx(tag: str) -> None:
    ours, theirs = run("fasteners"), run("fasteners", tag)

    assert ours["FactoryNutBoltPick"]["dones"].any()
    assert_the_same(ours, theirs, scenario.FASTENERS)


@pytest.mark.nightly
@pytest.mark.parametrize("tag", TAGS)
def test_robots_walk_on_the_same_terrain(tag: str) -> None:
    ours, theirs = run("terrain"), run("terrain", tag)

    for task in scenario.ON_TERRAIN:
        assert torch.equal(theirs[task]["origins"], ours[task]["origins"])
        assert (theirs[task]["clearance"].abs() < 1.0).all(), "nobody has fallen through"
    assert_the_same(ours, theirs, scenario.ON_TERRAIN)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("tag", TAGS)
def test_on_a_gpu_steps_are_those_of_standalone_physx(tag: str) -> None:
    ours, theirs = run("gpu"), run("gpu", tag)

    for name in ours:
        # What a GPU adds in another order grows with every contact: the first steps have none yet.
        steps = 200 if name.startswith("Cartpole") else 10
        torch.testing.assert_close(
            theirs[name]["observations"][:steps], ours[name]["observations"][:steps], rtol=1e-3, atol=1e-3
        )


@pytest.mark.parametrize("tag", TAGS)
def test_training_scores_are_those_of_standalone_physx(tag: str) -> None:
    ours, theirs = run("tasks")["training"], run("tasks", tag)["training"]

    for name in ("frames", "reward_mean", "reward_best", "episode_length_mean"):
        assert theirs[name] == pytest.approx(ours[name], rel=1e-4), name


@pytest.mark.parametrize("tag", TAGS)
def test_an_environment_that_is_not_finite_is_reset(tag: str) -> None:
    for task, found in run("not_finite", tag).items():
        assert found["status"] == "finished" and found["finite"], task
        # It is noticed at once, in that environment alone, and over by the end of the epoch.
        assert found["noted"][40] == [3] and {tuple(ids) for ids in found["noted"]} == {(), (3,)}, task
        assert all(ids == [] for ids in found["noted"][49:]), task


@pytest.mark.parametrize("tag", TAGS)
def test_rows_follow_the_order_in_which_physx_holds_environments(tag: str) -> None:
    cloned, sorted_by_name = run("order"), run("order", tag)
    names = [path.split("/")[3] for path in sorted_by_name["paths"]]

    assert names[:4] == ["env_0", "env_1", "env_10", "env_11"]
    by_env = torch.tensor([int(name.removeprefix("env_")) for name in names])
    assert torch.equal(sorted_by_name["positions"], cloned["positions"][by_env])
    torch.testing.assert_close(sorted_by_name["authored"], sorted_by_name["start"], rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("tag", TAGS)
def test_starting_physics_leaves_the_authored_state_alone(tag: str) -> None:
    ours, theirs = run("order"), run("order", tag)

    torch.testing.assert_close(theirs["authored"][:, 2], ours["authored"][:, 2], rtol=0.0, atol=1e-6)
    torch.testing.assert_close(theirs["joints"], ours["joints"], rtol=0.0, atol=1e-6)
    torch.testing.assert_close(theirs["velocities"], ours["velocities"], rtol=0.0, atol=5e-3)


@pytest.mark.parametrize("tag", TAGS)
def test_inside_a_running_kit_the_numbers_are_the_same(tag: str) -> None:
    ours, theirs = run("joined")["Cartpole"], run("joined", tag)

    torch.testing.assert_close(theirs["Cartpole"]["observations"], ours["observations"], rtol=1e-5, atol=1e-5)
    # In both rounds, both synchronous calls were refused.
    assert [text.split("`")[1] for text in theirs["refused"]] == [
        "await make_async(...)",
        "await engine.reset_async()",
    ] * 2


@pytest.mark.parametrize("tag", TAGS)
def test_the_physics_scene_is_the_tasks_with_a_window_and_without(tag: str) -> None:
    ours, headless, joined = run("scene")["settings"], run("scene", tag)["settings"], run("joined", tag)["settings"]

    assert headless == joined
    assert headless["physxScene:enableCCD"] == "False"  # which Isaac Sim's own defaults for a window switch on
    # Isaac Sim filters collisions by groups, and writes what ours leaves out.
    assert ours.items() <= headless.items()


@pytest.mark.parametrize("tag", TAGS)
def test_a_window_shows_environment_0_in_the_light(tag: str) -> None:
    result = run("scene", tag)

    assert result["lights"] == ["sky", "sun"]
    eye, target, env_0 = (torch.tensor(result[name]) for name in ("eye", "target", "env_0"))
    assert torch.equal(target[:2], env_0[:2])
    assert eye[2] > target[2]


@pytest.mark.parametrize("tag", TAGS)
def test_shapes_have_the_contact_offsets_of_the_tasks_rate_and_not_of_the_warm_up(tag: str) -> None:
    ours, theirs = run("offsets"), run("offsets", tag)

    for task in ours:
        assert torch.equal(theirs[task], ours[task]), task


@pytest.mark.parametrize("tag", TAGS)
def test_contacts_are_processed_unless_the_task_says_otherwise(tag: str) -> None:
    ours, theirs = run("contacts"), run("contacts", tag)

    for name in ours:
        torch.testing.assert_close(theirs[name], ours[name], rtol=1e-3, atol=1e-3)
    weight = torch.tensor([0.0, 0.0, 2.0 * 9.81])  # of a ball at rest
    torch.testing.assert_close(theirs["without=False"], weight.expand(4, 3), rtol=0.02, atol=0.02)
    assert not theirs["without=True"].any()


@pytest.mark.parametrize("tag", TAGS)
def test_clones_that_physx_copies_are_those_of_the_stage(tag: str) -> None:
    ours, theirs = run("replicated"), run("replicated", tag)

    torch.testing.assert_close(theirs["observations"], ours["observations"], rtol=1e-5, atol=1e-5)
    assert torch.equal(theirs["dones"], ours["dones"])


# -- views -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("tag", TAGS)
def test_every_public_method_is_asked(tag: str, view: str) -> None:
    calls = view_calls.ARTICULATION if view == "ArticulationView" else view_calls.RIGID

    assert set(signatures.isaac_sim(checkout(tag), view)) - set(calls) <= view_table.NOT_ASKED[view]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("tag", TAGS)
def test_answers_differ_only_where_the_table_says(tag: str, view: str) -> None:
    ours, theirs = run("views")[view], run("views", tag)[view]

    found = {method: text for method in ours if (text := view_calls.difference(ours[method], theirs[method]))}
    expected = view_table.differences(view)
    assert set(found) == set(expected), {
        "unexpected": {method: found[method] for method in set(found) - set(expected)},
        "now the same": sorted(set(expected) - set(found)),
    }


def argument_names(signature: str) -> list[str]:
    """Return the names in a signature, whose defaults may be lists."""
    return [argument.split("=")[0] for argument in re.split(r", (?![^\[(]*[\])])", signature)]


@pytest.mark.parametrize("view", [*VIEWS, "CameraView"])
@pytest.mark.parametrize("tag", TAGS)
def test_signatures_are_isaac_sims(tag: str, view: str) -> None:
    theirs = signatures.isaac_sim(checkout(tag), view)
    ours = signatures.ours(view)
    assert theirs, f"no {view} in the checkout of {tag}: its sparse-checkout is older than this test"

    # Constructors have the same arguments in the same order; 6.0 has changed one default and dropped one argument.
    names = argument_names(theirs.pop("__init__"))
    assert argument_names(ours["__init__"])[: len(names)] == names
    different = {
        name: f"{ours.get(name)}, Isaac Sim {signature}"
        for name, signature in theirs.items()
        if ours.get(name) != signature and name not in view_table.SIGNATURES[view]
    }
    assert different == {}


def test_the_table_in_the_documentation_is_current() -> None:
    page = ROOT / "docs/isaac-sim.md"
    text = page.read_text()
    written = view_table.insert(text)
    if os.environ.get("MYRIAD_WRITE_DOCS"):
        page.write_text(written)
    else:
        assert text == written, "the table of views is out of date: MYRIAD_WRITE_DOCS=1 ./myriad test tests/conformance"


# -- how processes end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ending.WAYS)
@pytest.mark.parametrize("tag", TAGS)
def test_exit_codes_pass_isaac_sims_own_class(tag: str, way: str) -> None:
    command = [sys.executable, str(HERE / "ending.py"), way, str(checkout(tag))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)

    assert done.returncode == ending.WAYS[way], done.stderr[-3000:]
    said = {"done": done.stdout, "bad input": done.stderr, "interrupt": done.stderr}.get(way, done.stderr)
    assert {"done": "done", "bad input": "Error: a mistake", "interrupt": "Interrupted."}.get(way, "a defect") in said


# -- the stand-in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", TAGS)
def test_the_stand_in_is_strict(tag: str) -> None:
    said = run("strict", tag)

    assert "Kit would read the command line ['task=Cartpole']" in said["command line"]
    assert said["argv after"] == "task=Cartpole"  # the engine hid it from Kit, and gave it back
    for name in ("dtype", "shape", "device", "contiguity", "index dtype"):
        assert said[name].startswith("TypeError"), said[name]
    assert said["index"].startswith("IndexError")
    for name in ("missing", "read-only", "stub"):
        assert said[name].startswith("NotImplementedError"), said[name]
    assert "Kit would step physics" in said["frame"]
    assert said["one buffer"] == "True"
    assert said["after stop"].startswith("RuntimeError")
