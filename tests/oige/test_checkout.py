# SPDX-License-Identifier: Apache-2.0
"""OmniIsaacGymEnvs' own files step with finite numbers, as docs/porting.md says; a robot may be fetched for it."""

import re
from pathlib import Path

import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.oige.config import find_checkout, task_classes

TABLE = (Path(__file__).parents[2] / "docs" / "porting.md").read_text()
RUN = re.findall(r"^\| (\w+) \| trains", TABLE, re.M)
SMALL = {
    "AnymalTerrain": [f"task.env.terrain.{name}" for name in ("numLevels=2", "numTerrains=2", "maxInitMapLevel=0")]
}


@pytest.mark.nightly
@pytest.mark.parametrize("task", RUN)
def test_it_steps_with_finite_numbers(env_of, real_checkout, task):
    env = env_of(f"task={task}", f"oige={real_checkout}", "num_envs=4", *SMALL.get(task, []))
    env.reset()
    for _ in range(50):
        seen, reward, _, _ = env.step(2.0 * torch.rand(4, env.num_actions) - 1.0)
        assert torch.isfinite(seen["obs"]).all() and torch.isfinite(reward).all()


@pytest.mark.nightly
def test_the_table_has_all_tasks_and_the_others_say_why_not(env_of, real_checkout):
    tasks = set(task_classes(find_checkout(real_checkout)))
    assert len(tasks) == 20 and tasks >= set(RUN) and len(RUN) == 14
    for task in tasks - set(RUN):
        with pytest.raises(MyriadError, match=f"{task} of OmniIsaacGymEnvs does not run here: "):
            env_of(f"task={task}", f"oige={real_checkout}")
