# SPDX-License-Identifier: Apache-2.0
"""FrankaReachCamera: a Panda arm brings its hand to a ball that it sees."""

import torch

from omni.myriad import CameraView, ImageTerm, ObservationTerm, Scene

from .franka_reach import FrankaReach

CAMERAS = {"camera": (1.7, 1.0, 1.2), "side_camera": (0.4, -1.9, 1.2)}
"""Where the cameras are, in m: how far away a ball is, one alone would have to tell from how large it looks."""


class FrankaReachCamera(FrankaReach):
    """FrankaReach whose target nobody says: joints are measured, and two cameras see hand and ball."""

    def set_up_scene(self, scene: Scene) -> None:
        """Add cameras that have the arm's reach in view, about a right angle apart."""
        env = self.task_config["env"]
        self.resolution = (env["cameraWidth"], env["cameraHeight"])
        for name, position in CAMERAS.items():
            self.add_camera(name, position, target=(0.1, 0.0, 0.45), clipping_range=(0.05, 10.0))
        super().set_up_scene(scene)
        self.cameras = {
            name: scene.add(CameraView(f"/World/envs/.*/{name}", name, self.resolution, output_annotators=["rgb"]))
            for name in CAMERAS
        }

    def observation_terms(self) -> list[ObservationTerm | ImageTerm]:  # type: ignore[override]
        """Say that joints are measured, and the rest is seen."""
        positions, velocities, *_ = super().observation_terms()
        width, height = self.resolution
        channels = ("red", "green", "blue")
        pictures = [ImageTerm(name, (height, width, 3), source="rgb", channels=channels) for name in self.cameras]
        return [positions, velocities, *pictures]

    def commands(self) -> dict[str, torch.Tensor]:
        """Return nothing: the ball says where to go."""
        return {}

    def quantities(self) -> dict[str, torch.Tensor]:
        """Return the joints, and the pictures."""
        measured = super().quantities()
        joints = {name: measured[name] for name in ("joint_positions", "joint_velocities")}
        return joints | {name: camera.get_rgb() for name, camera in self.cameras.items()}
