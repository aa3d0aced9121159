# SPDX-License-Identifier: Apache-2.0
# type: ignore  # what Warp compiles is not what Python's type checkers read
"""What MuJoCo Warp knows of the last step, as PhysX would say it, and whether all of it found room."""

import warp as wp


@wp.kernel
def read_joint_wrenches(
    mjc_body_to_newton: wp.array2d[wp.int32],
    body_rootid: wp.array[wp.int32],
    cfrc_int: wp.array2d[wp.spatial_vector],
    subtree_com: wp.array2d[wp.vec3],
    xpos: wp.array2d[wp.vec3],
    xquat: wp.array2d[wp.quat],
    body_joint: wp.array[wp.int32],
    joint_parent: wp.array[wp.int32],
    joint_x_c: wp.array[wp.transform],
    wrenches: wp.array[wp.spatial_vector],
) -> None:
    """Write force and torque that each body's incoming joint transmitted, in the joint's frame at the body.

    MuJoCo has them about the centre of mass of the whole tree, in the world; poses are those that the step began with.
    """
    world, mjc_body = wp.tid()
    body = mjc_body_to_newton[world, mjc_body]
    if body < 0:
        return
    joint = body_joint[body]
    if joint < 0 or joint_parent[joint] < 0:
        return  # PhysX's roots have no incoming joint: their rows stay zero
    wrench = cfrc_int[world, mjc_body]
    torque, force = wp.spatial_top(wrench), wp.spatial_bottom(wrench)
    wxyz = xquat[world, mjc_body]
    pose = wp.transform(xpos[world, mjc_body], wp.quat(wxyz[1], wxyz[2], wxyz[3], wxyz[0])) * joint_x_c[joint]
    arm = wp.transform_get_translation(pose) - subtree_com[world, body_rootid[mjc_body]]
    to_joint = wp.quat_inverse(wp.transform_get_rotation(pose))
    force_there = wp.quat_rotate(to_joint, force)
    torque_there = wp.quat_rotate(to_joint, torque - wp.cross(arm, force))
    wrenches[body] = wp.spatial_vector(force_there, torque_there)


@wp.kernel
def add_contact_forces(
    num_contacts: wp.array[wp.int32],
    worlds: wp.array[wp.int32],
    geoms: wp.array[wp.vec2i],
    frames: wp.array[wp.mat33],
    dims: wp.array[wp.int32],
    addresses: wp.array2d[wp.int32],
    efc_force: wp.array2d[wp.float32],
    pyramidal: bool,
    mjc_geom_to_newton_shape: wp.array2d[wp.int32],
    shape_body: wp.array[wp.int32],
    body_sensor: wp.array[wp.int32],
    shape_filter: wp.array2d[wp.int32],
    net: wp.array[wp.vec3],
    matrix: wp.array2d[wp.vec3],
) -> None:
    """Add each contact's normal force to what acts on the sensors it touches, in all and by filter."""
    contact = wp.tid()
    if contact >= num_contacts[0] or addresses[contact, 0] < 0:
        return
    world = worlds[contact]
    rows = wp.int32(1)
    if pyramidal and dims[contact] > 1:
        rows = 2 * (dims[contact] - 1)  # each edge of the pyramid leans on the normal
    force = wp.float32(0.0)
    for row in range(rows):
        address = addresses[contact, row]
        if address >= 0 and address < efc_force.shape[1]:
            force += efc_force[world, address]
    on_second = force * frames[contact][0]  # the normal points from the first shape to the second
    first = mjc_geom_to_newton_shape[world, geoms[contact][0]]
    second = mjc_geom_to_newton_shape[world, geoms[contact][1]]
    for side in range(2):
        shape, other, push = second, first, on_second
        if side == 0:
            shape, other, push = first, second, -on_second
        body = shape_body[shape]
        if body >= 0 and body_sensor[body] >= 0:
            sensor = body_sensor[body]
            wp.atomic_add(net, sensor, push)
            for column in range(matrix.shape[1]):
                if shape_filter[sensor, column] == other or (
                    shape_body[other] >= 0 and shape_filter[sensor, column] == -2 - shape_body[other]
                ):
                    wp.atomic_add(matrix, sensor, column, push)


@wp.kernel
def look_after(
    overflow: wp.array[wp.int32],
    num_constraints: wp.array[wp.int32],
    num_contacts: wp.array[wp.int32],
    num_found: wp.array[wp.int32],
    room: int,
    too_many: int,
    warmstart: wp.array2d[wp.float32],
    seen: wp.array[wp.int32],
) -> None:
    """Keep what overflowed in any step, and the most rows that any world and contacts that all had.

    Contacts that Newton found beyond its `room`, if it looked for them, count as the bit `too_many`.

    A world whose state had blown up also forgets the solver's last solution, which would blow up the next episode, too.
    """
    world = wp.tid()
    if overflow[world] & ~seen[0]:
        wp.atomic_or(seen, 0, overflow[world])
    if num_constraints[world] > seen[1]:
        wp.atomic_max(seen, 1, num_constraints[world])
    if world == 0 and num_contacts[0] > seen[2]:
        seen[2] = num_contacts[0]
    if world == 0 and num_found[0] > room:
        wp.atomic_or(seen, 0, too_many)
    for dof in range(warmstart.shape[1]):
        if not wp.isfinite(warmstart[world, dof]):
            warmstart[world, dof] = 0.0
