# SPDX-License-Identifier: Apache-2.0
"""Draw a picture of each task that has no film: ./myriad python docs/media/tasks.py TASK ...

Robots stand where an episode begins, moved a little by random actions. The pictures lie in the folder that is printed;
docs/media/films.py makes them small: ./myriad python docs/media/films.py TASK=FOLDER/TASK.png
"""

import sys
import tempfile
from contextlib import closing
from pathlib import Path

import torch
from PIL import Image

from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
from omni.myriad.engine.shapes import robot_shapes
from omni.myriad.render.camera import Camera
from omni.myriad.render.poses import Poses
from omni.myriad.render.video import follow
from omni.myriad.task.loader import all_tasks

WIDTH, HEIGHT, STEPS = 480, 276, 12
FOLDER = Path(tempfile.gettempdir(), "myriad-task-pictures")


def picture(task: str) -> Image.Image:
    """Return a picture of a task's first environment."""
    torch.manual_seed(1)
    with closing(make_env(load_config([f"task={task}", "num_envs=1", "sim_device=cpu", "seed=1"]))) as env:
        env.reset()
        for _ in range(STEPS):
            env.step(0.3 * torch.randn((1, env.num_actions)))
        poses = Poses(env.task)
        found = poses.read(torch.zeros(1, dtype=torch.long))[0].numpy()
        shapes = robot_shapes(env.engine.stage, poses.names)
    camera = Camera(poses.names, shapes, WIDTH, HEIGHT)
    eyes, targets = follow([found[:, :3]], poses.names, shapes)
    return Image.fromarray(camera.draw(found[:, :3], found[:, 3:], eyes[0], targets[0]))


def main() -> None:
    """Draw the tasks that were asked for, or all."""
    FOLDER.mkdir(exist_ok=True)
    for task in sys.argv[1:] or all_tasks():
        picture(task).save(FOLDER / f"{task}.png")
        print(FOLDER / f"{task}.png", flush=True)


if __name__ == "__main__":
    main()
