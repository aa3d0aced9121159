# SPDX-License-Identifier: Apache-2.0
"""The verb `new`: a task of one's own that runs, with the three methods to fill in."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from omni.myriad.app import cli
from omni.myriad.app.options import Section, option, page, parse
from omni.myriad.errors import MyriadError
from omni.myriad.files import write_text
from omni.myriad.places import COMMAND
from omni.myriad.robots import find
from omni.myriad.robots.robot import Joint, Robot

_HORIZON = 24
_MINIBATCHES = 4


class New(Section):
    """Write a task of your own that runs: its file, its settings and its learner's."""

    usage = "NAME robot=panda [key=value ...]"

    robot: str = option("", "a robot that ./myriad robots lists, a URDF, MJCF or USD file, or an imported folder")
    folder: str = option("my_tasks", "folder to write to", filled=True)
    num_envs: int = option(4096, "environments on a GPU, which the learner's settings are fitted to", least=1)


def run_new(arguments: Sequence[str]) -> None:
    """Write a task and say what to do with it."""
    if not arguments or any(argument in ("-h", "--help") for argument in arguments):
        print(page("new", New))
        cli.leave(0)
    cli.attempt(lambda: _new(arguments))


def _new(arguments: Sequence[str]) -> None:
    names, values = parse("new", New, arguments)
    if len(names) != 1 or not re.fullmatch(r"[A-Z][A-Za-z0-9]*", names[0]):
        raise MyriadError(f"Give one name like a class's, such as Reach: {COMMAND} new {New.usage}.")
    if not values["robot"]:
        raise MyriadError(f"Give a robot: {COMMAND} new {names[0]} robot=panda; {COMMAND} robots lists them.")
    name, folder = names[0], Path(values["folder"]).expanduser()
    asset = values["robot"]
    robot = find(asset)
    if os.sep in asset or Path(asset).suffix:
        asset = str(Path(asset).expanduser().resolve())
    files = {
        folder / f"{re.sub('(?<!^)(?=[A-Z])', '_', name).lower()}.py": task_text(name, asset, robot),
        folder / "cfg" / "task" / f"{name}.yaml": settings_text(name, robot, values["num_envs"]),
        folder / "cfg" / "train" / f"{name}PPO.yaml": learner_text(values["num_envs"]),
    }
    if taken := [str(file) for file in files if file.exists()]:
        raise MyriadError(f"{taken[0]} exists already: choose another name, or folder=...")
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
        print(f"Wrote {file}")
    print(f"Train: {COMMAND} train task={name} task.task_path=[{folder}]")


def task_text(name: str, asset: str, robot: Robot) -> str:
    """Return the task's file: a fixed robot brings a frame to a target, a free one moves ahead."""
    frame = next((frame for frame in robot.frames if "tcp" in frame), [*robot.links][-1])
    parts = _REACH if robot.fixed_base else _WALK
    scene, start, seen, reward, done = (part.replace("FRAME", repr(frame).replace("'", '"')) for part in parts)
    filled = _TASK.replace("SCENE", scene).replace("START", start).replace("SEEN", seen)
    filled = filled.replace("REWARD", reward).replace("DONE", done)
    return filled.replace("NAME", name).replace("ASSET", asset)


def settings_text(name: str, robot: Robot, num_envs: int) -> str:
    """Return the task's YAML, with motors for joints that have none."""
    motors = {joint.name: _motor(joint) for joint in robot.joints if not joint.stiffness and joint.mimic is None}
    if len(motors) == len(robot.joints) and len(set(motors.values())) == 1:
        motors = {'"*"': next(iter(motors.values()))}
    actuators = "".join(f"      {joint}: {motor}\n" for joint, motor in motors.items())
    ground = "False # what holds the robot would rub on it" if robot.fixed_base else "True"
    text = _SETTINGS.replace("NAME", name).replace("NUM_ENVS", str(num_envs)).replace("GROUND", ground)
    return text + (f"    actuators: # a first guess\n{actuators}" if actuators else "")


def _motor(joint: Joint) -> str:
    """Return a position drive that gives all of its effort at an error of 0.3 rad, or 3 cm."""
    effort = joint.effort if 0.0 < joint.effort < math.inf else 30.0
    stiffness = effort / (0.3 if joint.type == "revolute" else 0.03)
    return f"{{kind: position, stiffness: {stiffness:.4g}, damping: {0.2 * stiffness:.4g}}}"


def learner_text(num_envs: int) -> str:
    """Return the learner's YAML, in which an epoch of so many environments is a few minibatches."""
    size = max(1, num_envs * _HORIZON // _MINIBATCHES)
    return _LEARNER.replace("HORIZON", str(_HORIZON)).replace("MINIBATCH", str(size))


_TASK = '''"""NAME: say here what the robot shall learn."""

import torch

from omni.myriad import RLTask, Scene


class NAME(RLTask):
    robot = "ASSET"  # in the methods, self.robot is the view of all num_envs of them

SCENE    def post_reset(self) -> None:
        """Look around once physics runs."""
        self.home = self.robot.get_joint_positions()
START
    def get_observations(self) -> None:
        """Say what the policy sees, (num_envs, num_observations)."""
        positions, velocities = self.robot.get_joint_positions(), self.robot.get_joint_velocities()
        seen = [positions - self.home, 0.1 * velocities, SEEN]
        self.obs_buf[:] = torch.cat(seen, dim=-1)

    def calculate_metrics(self) -> None:
        """Say what is wanted, (num_envs,)."""
REWARD
    def pre_physics_step(self, actions: torch.Tensor) -> None:
        """Say what actions from -1 to 1 do, (num_envs, num_dof)."""
        self.robot.set_joint_position_targets(self.home + actions)
DONE'''

_REACH = (
    '''    def set_up_scene(self, scene: Scene) -> None:
        """Add a ball that shows the target in films."""
        self.targets = self.add_marker("Target").positions
        super().set_up_scene(scene)

''',
    """        self.centre = self.robot.frame_poses(FRAME)[0]

    def reset_idx(self, env_ids: torch.Tensor) -> None:
        \"\"\"Start an episode: the robot at home, the target somewhere near.\"\"\"
        super().reset_idx(env_ids)
        self.targets[env_ids] = self.centre[env_ids] + 0.3 * (torch.rand_like(self.centre[env_ids]) - 0.5)
""",
    "self.robot.frame_poses(FRAME)[0], self.targets",
    """        distances = (self.targets - self.robot.frame_poses(FRAME)[0]).norm(dim=-1)
        self.rew_buf[:] = torch.where(distances < 0.05, 0.5 - distances, -distances)
""",
    "",
)
_WALK = (
    "",
    """        self.height = self.robot.get_world_poses()[0][:, 2]
""",
    "*self.root()",
    """        _, _, velocities = self.root()
        self.rew_buf[:] = 1.0 + velocities[:, 0].clamp(max=1.0) - 0.1 * velocities[:, 1].abs()
""",
    '''
    def root(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return height (num_envs, 1), orientation (num_envs, 4) and velocity (num_envs, 6) of the robot's root."""
        positions, orientations = self.robot.get_world_poses()
        return positions[:, 2:], orientations, self.robot.get_velocities()

    def is_done(self) -> None:
        """End an episode when the robot has fallen, or time is up."""
        fallen = self.root()[0][:, 0] < 0.5 * self.height
        self.time_out_buf &= ~fallen
        self.reset_buf[:] = fallen | self.time_out_buf
''',
)
_SETTINGS = """defaults:
  - Default

name: NAME

env:
  numEnvs: ${resolve_default:NUM_ENVS,${num_envs}}
  envSpacing: 3.0
  episodeLength: 200 # control steps
  controlFrequencyInv: 2 # physics steps in a control step

sim:
  dt: 0.0083 # s
  add_ground_plane: GROUND

  Robot:
    solver_position_iteration_count: 4
    solver_velocity_iteration_count: 0
"""
_LEARNER = """defaults:
  - DefaultPPO

params:
  config:
    max_epochs: 300
    horizon_length: HORIZON
    minibatch_size: MINIBATCH
    mini_epochs: 4
    gamma: 0.97
    reward_shaper:
      scale_value: 0.1
"""
