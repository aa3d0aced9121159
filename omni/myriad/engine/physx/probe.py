# SPDX-License-Identifier: Apache-2.0
"""Drop one body with standalone PhysX and print, as a line of JSON, whether it fell as Newton says.

Runs as `python -m omni.myriad.engine.physx.probe cpu|cuda:0`, in a process of its own because PhysX's CPU mode lasts
as long as its process does.
"""

import json
import sys
import time
import warnings
from typing import Any

GRAVITY = 9.81  # m/s^2
DT, STEPS = 1.0 / 120.0, 60  # 0.5 s

SCENE = """#usda 1.0
( metersPerUnit = 1
  upAxis = "Z" )
def PhysicsScene "Scene" ( prepend apiSchemas = ["PhysxSceneAPI"] )
{{
    vector3f physics:gravityDirection = (0, 0, -1)
    float physics:gravityMagnitude = {gravity}
    bool physxScene:enableGPUDynamics = {gpu:d}
    uniform token physxScene:broadphaseType = "{broadphase}"
}}
def Sphere "Body" ( prepend apiSchemas = ["PhysicsRigidBodyAPI", "PhysicsMassAPI", "PhysicsCollisionAPI"] )
{{
    double radius = 0.5
    float physics:mass = 1
}}
"""


def drop(device: str) -> dict[str, Any]:
    """Let a sphere of 1 m diameter fall for 0.5 s with nothing below it, and measure how far it came.

    Args:
        device: "cpu" or "cuda:N".

    Returns:
        ok, device (where its state really lived), fall_m and expected_m (m), seconds (start-up included), version.
    """
    start = time.perf_counter()
    import ovphysx
    import ovstage
    import torch
    from ovphysx.samples.python_samples.schema_support import physx_schema_paths

    from omni.myriad.engine.physx.quantity import describe

    gpu = device.startswith("cuda")
    state = torch.zeros((1, 7), device=device)  # xyz, then xyzw; fails here where torch has no such device
    schemas = [*map(str, physx_schema_paths()), str(ovphysx.newton_schema_root())]
    ovstage.population.register_usd_schemas(schemas)
    if gpu:  # without suppressReadback the state stays in host memory although the GPU simulates
        config = ovphysx.PhysXConfig(carbonite_overrides={"/physics/suppressReadback": True})
        physx = ovphysx.PhysX(config=config, active_cuda_gpus=str(state.device.index or 0))
    else:
        ovphysx.PhysX.set_cpu_mode(True)
        physx = ovphysx.PhysX()
    stage = ovstage.Stage("probe")
    usda = SCENE.format(gravity=GRAVITY, gpu=gpu, broadphase="GPU" if gpu else "MBP")
    ovstage.population.open_usd_from_string(stage, usda, ordinal=1, domains=ovstage.PopulationDomain.ALL)
    stage.advance_write_floor(ordinal=1).wait()
    physx.wait_task(physx.attach_ovstage(stage, read_ordinal=1))
    pose = physx.create_tensor_binding(prim_paths=["/Body"], tensor_type=ovphysx.TensorType.RIGID_BODY_POSE)
    physx.warmup()
    for _ in range(STEPS):
        physx.step_sync(DT)
    pose.read(describe(state))
    fall = -state[0, 2].item()
    on_gpu = pose.native_device.device_type.value == ovphysx.DLDeviceType.kDLCUDA

    pose.destroy()  # in this order: leaving with live instances can hang
    physx.wait_task(physx.detach_ovstage())
    physx.destroy()
    stage.destroy()

    # Semi-implicit Euler falls g t dt / 2 further than g t^2 / 2; a solver that sub-steps ends between the two.
    expected, overshoot = GRAVITY * (STEPS * DT) ** 2 / 2, GRAVITY * STEPS * DT**2 / 2
    return {
        "ok": on_gpu == gpu and -1e-3 <= fall - expected <= overshoot + 1e-3,
        "device": device if on_gpu else "cpu",
        "fall_m": round(fall, 4),
        "expected_m": round(expected, 4),
        "seconds": round(time.perf_counter() - start, 2),
        "version": ovphysx.__version__,
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # ovphysx announces deprecations that concern our code, not the machine
    wanted = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    try:
        outcome = drop(wanted)
    except Exception as error:  # any failure at all is an answer
        outcome = {"ok": False, "device": wanted, "error": " ".join(f"{type(error).__name__}: {error}".split())}
    print(json.dumps(outcome), flush=True)
    sys.exit(0 if outcome["ok"] else 1)
