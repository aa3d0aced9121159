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
    import torch
    from ovphysx import DLDeviceType, TensorType

    from omni.myriad.engine.physx import runtime
    from omni.myriad.engine.physx.quantity import describe
    from omni.myriad.engine.physx.shard import Shard

    gpu = device.startswith("cuda")
    state = torch.zeros((1, 7), device=device)  # xyz, then xyzw; fails here where torch has no such device
    runtime.start(state.device)
    scene = SCENE.format(gravity=GRAVITY, gpu=gpu, broadphase="GPU" if gpu else "MBP")
    shard = Shard(scene, 0, [(0.0, 0.0, 0.0)], state.device)
    pose = shard.bind(["/Body"], TensorType.RIGID_BODY_POSE)
    shard.clone({})
    shard.step(STEPS, DT)
    pose.read(describe(state))
    fall = -state[0, 2].item()
    on_gpu = pose.native_device.device_type.value == DLDeviceType.kDLCUDA
    shard.close()

    # Semi-implicit Euler falls g t dt / 2 further than g t^2 / 2; a solver that sub-steps ends between the two.
    expected, overshoot = GRAVITY * (STEPS * DT) ** 2 / 2, GRAVITY * STEPS * DT**2 / 2
    return {
        "ok": on_gpu == gpu and -1e-3 <= fall - expected <= overshoot + 1e-3,
        "device": device if on_gpu else "cpu",
        "fall_m": round(fall, 4),
        "expected_m": round(expected, 4),
        "seconds": round(time.perf_counter() - start, 2),
        "version": runtime.version(),
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
