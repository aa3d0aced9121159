# SPDX-License-Identifier: Apache-2.0
import carb
from pxr import PhysxSchema

from omni.isaac.core.robots.robot import Robot
from omni.isaac.core.utils.prims import get_prim_at_path
from omni.isaac.core.utils.stage import add_reference_to_stage
from omni.isaac.nucleus import get_assets_root_path


class Pole(Robot):
    def __init__(self, prim_path, name="pole", translation=None, orientation=None):
        root = get_assets_root_path()
        if root is None:
            carb.log_error("no assets")
        add_reference_to_stage(root + "/Isaac/Robots/Cartpole/cartpole.usd", prim_path)
        super().__init__(
            prim_path=prim_path,
            name=name,
            translation=translation,
            orientation=orientation,
            articulation_controller=None,
        )
        joint = get_prim_at_path(f"{prim_path}/joints/poleJoint")
        PhysxSchema.PhysxJointAPI(joint).CreateMaxJointVelocityAttr().Set(90.0)  # degrees
