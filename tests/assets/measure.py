# SPDX-License-Identifier: Apache-2.0
# pyright: reportAttributeAccessIssue=false
# (pxr's modules are compiled and carry no types)
"""Put Ant and Cartpole into standalone PhysX on the CPU, let them move, and write what was read to a JSON file.

Runs as a process of its own (`python tests/assets/measure.py out.json`) because PhysX's CPU mode and USD's schema
registry both last as long as their process.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

ASSETS = Path(__file__).resolve().parents[2] / "assets"
ANT, CARTPOLE = "/World/envs/*/Ant/torso", "/World/envs/*/Cartpole"
DT = 1 / 120

SCENE = f"""#usda 1.0
(
    metersPerUnit = 1
    upAxis = "Z"
)

def PhysicsScene "Scene" (
    prepend apiSchemas = ["PhysxSceneAPI"]
)
{{
    vector3f physics:gravityDirection = (0, 0, -1)
    float physics:gravityMagnitude = 9.81
    uniform token physxScene:broadphaseType = "MBP"
    bool physxScene:enableGPUDynamics = 0
}}

def Plane "Ground" (
    prepend apiSchemas = ["PhysicsCollisionAPI"]
)
{{
    uniform token axis = "Z"
}}

def Xform "World"
{{
    def Xform "envs"
    {{
        def Xform "env_0"
        {{
            double3 xformOp:translate = (3, 0, 0)
            uniform token[] xformOpOrder = ["xformOp:translate"]

            def Xform "Ant" (
                prepend references = @{ASSETS.as_posix()}/ant/ant.usda@
            )
            {{
                double3 xformOp:translate = (0, 0, 1)
                uniform token[] xformOpOrder = ["xformOp:translate"]
            }}

            def Xform "Cartpole" (
                prepend references = @{ASSETS.as_posix()}/cartpole/cartpole.usda@
            )
            {{
                double3 xformOp:translate = (20, 0, 2)
                uniform token[] xformOpOrder = ["xformOp:translate"]
            }}
        }}
    }}
}}
"""


def undefined_properties() -> list[str]:
    """List the authored properties that no schema of their prim defines: misspelt, or of a schema not applied."""
    import physx_usd_schemas  # noqa: F401  registers the PhysX schemas with pxr
    from pxr import Usd, UsdShade

    undefined = []
    for path in sorted(ASSETS.glob("*/*.usda")):
        stage = Usd.Stage.Open(str(path))
        for prim in stage.Traverse():
            known = prim.GetPrimDefinition().GetPropertyNames()
            for prop in prim.GetAuthoredProperties():
                name = prop.GetName()
                bound = name.startswith("material:binding") and prim.HasAPI(UsdShade.MaterialBindingAPI)
                if name not in known and not name.startswith("xformOp:") and not bound:
                    undefined.append(str(prop.GetPath()))
    return undefined


def simulate() -> dict[str, Any]:
    """Read what PhysX made of the robots, drop the Ant from 1 m, let the Cartpole's pole fall from 0.02 rad."""
    import ovphysx
    import ovstage
    from ovphysx.samples.python_samples.schema_support import physx_schema_paths

    schemas = [*map(str, physx_schema_paths()), str(ovphysx.newton_schema_root())]
    ovstage.population.register_usd_schemas(schemas)
    # Threads of PhysX's own would hand each small step about, and take a minute for it on a busy machine.
    ovphysx.set_global_config(ovphysx.types.GlobalConfigKey.NUM_THREADS, 0)
    ovphysx.PhysX.set_cpu_mode(True)
    physx = ovphysx.PhysX()
    stage = ovstage.Stage("robots")
    ovstage.population.open_usd_from_string(stage, SCENE, ordinal=1, domains=ovstage.PopulationDomain.ALL)
    stage.advance_write_floor(ordinal=1).wait()
    physx.wait_task(physx.attach_ovstage(stage, read_ordinal=1))
    physx.warmup()
    bindings = {}

    def bind(pattern: str, quantity: str) -> Any:
        kind = getattr(ovphysx.TensorType, f"ARTICULATION_{quantity}")
        if (pattern, quantity) not in bindings:
            bindings[pattern, quantity] = physx.create_tensor_binding(pattern=pattern, tensor_type=kind)
        return bindings[pattern, quantity]

    def read(pattern: str, quantity: str) -> list[Any]:
        binding = bind(pattern, quantity)
        values = np.zeros(binding.shape, np.float32)
        binding.read(values)
        return values[0].tolist()

    found: dict[str, Any] = {}
    constants = ("BODY_MASS", "BODY_COM_POSE", "BODY_INERTIA", "DOF_POSITION", "DOF_LIMIT", "DOF_STIFFNESS",
                 "DOF_DAMPING", "DOF_ARMATURE", "DOF_FRICTION_PROPERTIES", "DOF_MAX_FORCE", "ROOT_POSE")  # fmt: skip
    for name, pattern in (("ant", ANT), ("cartpole", CARTPOLE)):
        binding = bind(pattern, "DOF_POSITION")
        found[name] = {quantity: read(pattern, quantity) for quantity in constants} | {
            "count": binding.count,
            "dof_names": binding.dof_names,
            "body_names": binding.body_names,
            "fixed_base": binding.is_fixed_base,
        }
    found["ant"]["friction"] = read(ANT, "SHAPE_FRICTION_AND_RESTITUTION")

    bind(CARTPOLE, "DOF_POSITION").write(np.array([[0, 0.02]], np.float32))
    physx.step_sync(DT)
    found["cartpole"]["velocity_after_one_step"] = read(CARTPOLE, "DOF_VELOCITY")
    found["cartpole"]["fall"] = [read(CARTPOLE, "DOF_POSITION")]
    for _ in range(119):
        physx.step_sync(DT)
        found["cartpole"]["fall"].append(read(CARTPOLE, "DOF_POSITION"))
    bind(CARTPOLE, "DOF_ACTUATION_FORCE").write(np.array([[400, 0]], np.float32))
    before = read(CARTPOLE, "DOF_VELOCITY")
    physx.step_sync(DT)
    found["cartpole"]["push"] = [before, read(CARTPOLE, "DOF_VELOCITY")]

    for _ in range(int(9 / DT)):
        physx.step_sync(DT)
    found["ant"]["rest"] = {q: read(ANT, q) for q in ("ROOT_POSE", "ROOT_VELOCITY", "DOF_POSITION", "DOF_VELOCITY")}

    for binding in bindings.values():  # in this order: leaving with live instances can hang
        binding.destroy()
    physx.wait_task(physx.detach_ovstage())
    physx.destroy()
    stage.destroy()
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # tensor bindings announce their deprecation
    Path(sys.argv[1]).write_text(json.dumps({"undefined": undefined_properties(), **simulate()}))
