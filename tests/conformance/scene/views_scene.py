# SPDX-License-Identifier: Apache-2.0
"""An ant beside a ball that rests on a block: something to ask every method of both views about.

The ball has one contact point, so that its motion does not hang on the order in which a solver takes contacts.
"""

from omni.myriad import ArticulationView, RigidPrimView, RLTask


class ViewsScene(RLTask):
    """A task of which only the scene is used."""

    num_observations = 1
    num_actions = 1

    def set_up_scene(self, scene) -> None:
        from pxr import Sdf, UsdGeom, UsdPhysics

        self.add_robot("Ant", "ant/ant.usda", position=(0.0, 0.0, 0.5))
        ball = UsdGeom.Sphere.Define(self.stage, f"{self.default_zero_env_path}/Ball")
        ball.CreateRadiusAttr(0.2)
        block = UsdGeom.Cube.Define(self.stage, f"{self.default_zero_env_path}/Block")
        block.CreateSizeAttr(0.4)
        for shape, z in ((ball, 0.6), (block, 0.2)):
            prim = shape.GetPrim()
            shape.AddTranslateOp().Set((2.0, 0.0, z))
            UsdPhysics.CollisionAPI.Apply(prim)
            UsdPhysics.RigidBodyAPI.Apply(prim).CreateKinematicEnabledAttr(shape is block)
            UsdPhysics.MassAPI.Apply(prim).CreateMassAttr(2.0)
            prim.AddAppliedSchema("PhysxContactReportAPI")
            prim.AddAppliedSchema("PhysxRigidBodyAPI")
            # Isaac Sim's RigidPrim authors this, because bodies that sleep report no contacts; ours leaves it alone.
            prim.CreateAttribute("physxRigidBody:sleepThreshold", Sdf.ValueTypeNames.Float).Set(0.0)
        super().set_up_scene(scene)
        self.robots = scene.add(ArticulationView("/World/envs/.*/Ant", name="ants"))
        self.balls = scene.add(
            RigidPrimView(
                "/World/envs/.*/Ball",
                name="balls",
                track_contact_forces=True,
                disable_stablization=False,  # Isaac Sim would switch it off for the whole scene, ours leaves it alone
                contact_filter_prim_paths_expr=["/World/envs/.*/Block"],
                max_contact_count=64,
            )
        )
