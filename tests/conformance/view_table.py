# SPDX-License-Identifier: Apache-2.0
"""Where our views differ from Isaac Sim's and why: what the tests hold both to, and the documentation prints."""

from __future__ import annotations

from omni.myriad.engine.physx.views.unsupported import UNSUPPORTED

from . import view_calls

_RESIDUALS = ("get_position_residuals", "get_velocity_residuals")
_ONCE = "Isaac Sim writes USD, which PhysX reads once, when it starts: ours raises NotImplementedError"
_COMPENSATION = (
    "of a floating base Isaac Sim returns the root's columns in the place of joints'; ours returns the joints'"
)
_FRICTION = "not compared: standalone PhysX has the newer friction model alone, which ours writes"

_BOTH = {
    **{
        name: f"{reason}: ours raises NotImplementedError"
        for name, reason in UNSUPPORTED.items()
        if name not in _RESIDUALS
    },
    "set_sleep_thresholds": _ONCE,
    "prims": "clones are not on the stage here, so there are no USD prims to return",
    "destroy": "nothing to deregister here: `scene.remove_object(name)` forgets a view",
}

_DIFFERENCES = {
    "ArticulationView": {
        **_BOTH,
        "is_non_root_articulation_link": "a link's property; ours has it on RigidPrimView",
        "get_coriolis_and_centrifugal_forces": _COMPENSATION,
        "get_generalized_gravity_forces": _COMPENSATION,
        "get_friction_coefficients": _FRICTION,
        "set_friction_coefficients": _FRICTION,
        "set_joint_efforts of some joints": "5.1 zeroes the other joints, 6.0 keeps them; ours raises",
        "switch_control_mode": (
            "Isaac Sim takes the zeros that it writes for `effort` for the gains to go back to; ours keeps the gains"
        ),
        "set_effort_modes": _ONCE,
        "set_solver_position_iteration_counts": _ONCE,
        "set_solver_velocity_iteration_counts": _ONCE,
        "set_stabilization_thresholds": _ONCE,
        "set_enabled_self_collisions": _ONCE,
        "resume_motion": "Isaac Sim pauses with buffers that are overwritten by then; ours resumes what was paused",
        "post_reset": "ours also stops the root; Isaac Sim leaves its velocity",
    },
    "RigidPrimView": {
        **_BOTH,
        "get_inv_masses": "Isaac Sim returns (M, 1) and documents (M,), which ours returns",
        "set_densities": _ONCE,
        "enable_rigid_body_physics": "ours wakes the bodies; Isaac Sim leaves them asleep until something touches them",
    },
}

NOT_ASKED = {
    "ArticulationView": {"__init__", *_RESIDUALS},
    "RigidPrimView": {"__init__"},
}
"""Methods that no call asks: constructors are compared by signature, and residuals are gone from Isaac Sim 6.0."""

_NO_SWITCH = "MuJoCo cannot take a body out: raises NotImplementedError"
_NO_POINTS = "single contacts are not told: raises NotImplementedError"
_AXES = "a centre of mass has the body's own axes, not the principal ones"
_WRENCH = "MuJoCo's are those at the beginning of the step, PhysX's at its end: some per cent apart"

NEWTON = {
    "ArticulationView": {
        "get_body_coms": _AXES,
        "set_body_coms": _AXES,
        "get_body_inv_inertias": "rounded: the same to a millionth of the largest entry",
        "get_measured_joint_forces": _WRENCH,
        "get_measured_joint_efforts": _WRENCH,
    },
    "RigidPrimView": {
        "get_contact_force_data": _NO_POINTS,
        "get_friction_data": _NO_POINTS,
        "disable_rigid_body_physics": _NO_SWITCH,
        "enable_rigid_body_physics": _NO_SWITCH,
    },
}
"""Methods that answer differently with engine=newton than with engine=physx, without contacts, and why."""

CAMERAS = {
    "destroy": "nothing to release by hand",
    "get_render_product_path": "nothing of RTX's",
    **dict.fromkeys(
        [
            f"{verb}_{what}"
            for verb in ("get", "set")
            for what in (
                *("focus_distances", "lens_apertures", "projection_types", "projection_modes"),
                *("stereo_roles", "shutter_properties"),
            )
        ],
        "the ray tracer's lens is a pinhole",
    ),
    "set_vertical_apertures": "pixels are square, so they follow from the horizontal ones",
}
"""Methods of Isaac Sim's CameraView that ours does not have, and why."""

SIGNATURES = {
    # Isaac Sim's `velocities` default to None there, which it then fails on.
    "ArticulationView": {
        *("prims", "destroy", "is_non_root_articulation_link"),
        *("set_velocities", "set_linear_velocities", "set_angular_velocities"),
    },
    "RigidPrimView": {"prims", "destroy"},
    "CameraView": set(CAMERAS),
}
"""Methods whose signature differs."""

_BEGIN, _END = "<!-- views: begin -->", "<!-- views: end -->"


def differences(view: str) -> dict[str, str]:
    """Return the reason of each method of a view that answers differently."""
    return _DIFFERENCES[view]


def insert(page: str, content: str | None = None) -> str:
    """Return a page with a table between its marks, by default the current one of Isaac Sim."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{table() if content is None else content}{_END}{after}"


def newton_table() -> str:
    """Return what the documentation says about views with engine=newton, as Markdown."""
    lines = ["| view | differs from engine=physx | how |", "|---|---|---|"]
    for view, reasons in NEWTON.items():
        for reason in dict.fromkeys(reasons.values()):
            names = ", ".join(f"`{name}`" for name, its in reasons.items() if its == reason)
            lines.append(f"| `{view}` | {names} | {reason} |")
    return "\n".join(lines) + "\n"


def table() -> str:
    """Return what the documentation says about views, as Markdown."""
    lines = []
    for view, calls in (("ArticulationView", view_calls.ARTICULATION), ("RigidPrimView", view_calls.RIGID)):
        reasons = differences(view)
        same = [f"`{name}`" for name in calls if name not in reasons]
        lines += [f"**{view}**: {len(same)} methods and properties are the same:", "", ", ".join(same) + ".", ""]
        lines += ["| differs | why |", "|---|---|"]
        by_reason: dict[str, list[str]] = {}
        for name, reason in reasons.items():
            by_reason.setdefault(reason, []).append(f"`{name}`")
        lines += [f"| {', '.join(names)} | {reason} |" for reason, names in by_reason.items()]
        lines.append("")
    return "\n".join(lines) + "\n"
