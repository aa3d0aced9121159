# SPDX-License-Identifier: Apache-2.0
"""Turn a path expression into the prims it names in every environment."""

from __future__ import annotations

import re

from pxr import Usd

from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH
from omni.myriad.errors import MyriadError


def expand(expressions: str | list[str], stage: Usd.Stage, num_envs: int) -> list[str]:
    """Find the prims of environment 0 that an expression names.

    As in Isaac Sim, each component between slashes is a regular expression for one prim name, and a lone `*` means any.
    Clones are not on the stage, so environment 0 stands for all.

    Args:
        expressions: Expression, or several whose prims are taken together, such as "/World/envs/.*/Ant/torso".
        stage: Stage on which environment 0 is authored.
        num_envs: Number of environments; the expression must name every one of them.

    Returns:
        Paths relative to an environment, without a leading slash, in stage order.

    Raises:
        MyriadError: If an expression lies outside the environments, leaves some out, or names nothing.
    """
    found: dict[str, None] = {}
    for expression in [expressions] if isinstance(expressions, str) else expressions:
        found.update(dict.fromkeys(_expand_one(expression, stage, num_envs)))
    return list(found)


def in_environment(relative_path: str, env_id: int) -> str:
    """Return the path of a prim of one environment."""
    return f"{ENVS_PATH}/env_{env_id}/{relative_path}"


def _expand_one(expression: str, stage: Usd.Stage, num_envs: int) -> list[str]:
    parts = expression.strip("/").split("/")
    if "/" + "/".join(parts[:2]) != ENVS_PATH or len(parts) < 4:
        raise MyriadError(f"prim_paths_expr {expression!r} must name prims below {ENVS_PATH}/<environment>/.")
    try:
        env, *names = (re.compile(".*" if part == "*" else part) for part in parts[2:])
    except re.error as error:
        raise MyriadError(f"prim_paths_expr {expression!r} is no valid expression: {error}.") from None
    if not all(env.fullmatch(f"env_{i}") for i in (0, num_envs - 1)):
        raise MyriadError(
            f"prim_paths_expr {expression!r} leaves environments out; a view covers all of them: use {ENVS_PATH}/.*/..."
        )
    prims = [stage.GetPrimAtPath(ENV_0_PATH)]
    for name in names:
        prims = [child for prim in prims for child in prim.GetFilteredChildren(_ALL) if name.fullmatch(child.GetName())]
    if not prims:
        children = ", ".join(child.GetName() for child in stage.GetPrimAtPath(ENV_0_PATH).GetFilteredChildren(_ALL))
        raise MyriadError(
            f"prim_paths_expr {expression!r} matches no prim; {ENV_0_PATH} holds: {children or 'nothing'}."
        )
    return [str(prim.GetPath())[len(ENV_0_PATH) + 1 :] for prim in prims]


_ALL = Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)
