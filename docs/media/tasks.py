# SPDX-License-Identifier: Apache-2.0
"""Draw docs/media/tasks.png, a picture of each task: ./myriad python docs/media/tasks.py [TASK ...].

It takes a minute on two cores. Robots stand where an episode begins, moved a little by random actions. Where single
tasks are asked for, their pictures are added to those that were drawn before.
"""

import sys
import tempfile
from contextlib import closing
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from omni.myriad.app.config import all_tasks, load_config
from omni.myriad.app.runs import make_env
from omni.myriad.engine.shapes import robot_shapes
from omni.myriad.render.camera import Camera
from omni.myriad.render.poses import Poses
from omni.myriad.render.video import follow

WIDTH, HEIGHT, COLUMNS, STEPS = 320, 184, 4, 12
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
    camera = Camera(poses.names, shapes, 2 * WIDTH, 2 * HEIGHT)
    eyes, targets = follow([found[:, :3]], poses.names, shapes)
    drawn = Image.fromarray(camera.draw(found[:, :3], found[:, 3:], eyes[0], targets[0]))
    small = drawn.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    ImageDraw.Draw(small).text((8, 6), task, fill=(20, 24, 32), font_size=15)
    return small


def main() -> None:
    """Draw the tasks that were asked for, or all, and put all that were drawn together."""
    FOLDER.mkdir(exist_ok=True)
    for task in sys.argv[1:] or all_tasks():
        try:
            picture(task).save(FOLDER / f"{task}.png")
        except Exception as error:  # such as a robot that pip has not brought
            print(f"{task}: {error}", flush=True)
    files = sorted(FOLDER.glob("*.png"))
    rows = -(-len(files) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * WIDTH, rows * HEIGHT), "white")
    for index, file in enumerate(files):
        page.paste(Image.open(file), (index % COLUMNS * WIDTH, index // COLUMNS * HEIGHT))
    page.quantize(128).save(Path(__file__).with_name("tasks.png"), optimize=True)


if __name__ == "__main__":
    main()
