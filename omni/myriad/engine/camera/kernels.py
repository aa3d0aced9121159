# SPDX-License-Identifier: Apache-2.0
# type: ignore  # what Warp compiles is not what Python's type checkers read
"""Light and textures, put on what rays have met."""

import warp as wp

_TURN = 6.283185307179586
_NOTHING = wp.constant(wp.uint32(0xFFFFFFFF))
_OPAQUE = wp.constant(wp.uint32(0xFF000000))


@wp.kernel(enable_backward=False)
def shade(
    views: wp.array[wp.transformf],
    rays: wp.array4d[wp.vec3f],
    worlds: wp.array[wp.int32],
    gains: wp.array[wp.vec3f],
    albedo: wp.array3d[wp.uint32],
    normals: wp.array3d[wp.vec3f],
    depths: wp.array3d[wp.float32],
    shapes: wp.array3d[wp.uint32],
    poses: wp.array[wp.transformf],
    body_of_row: wp.array[wp.int32],
    num_bodies: int,
    num_shared: int,
    suns: wp.array[wp.vec3f],
    skylight: wp.vec3f,
    groundlight: wp.vec3f,
    sunlight: wp.vec3f,
    waves: wp.array3d[wp.vec4f],
    paints: wp.array2d[wp.vec4f],
    linear: wp.array[wp.float32],
    screen: wp.array[wp.uint32],
    colours: wp.array3d[wp.uint32],
) -> None:
    """Write the colour of each pixel: its albedo with a texture, in the light of its environment."""
    view, y, x = wp.tid()
    world = worlds[view]
    if world < 0:
        return
    found, shape = albedo[view, y, x], shapes[view, y, x]
    row = body_of_row.shape[0] - 1  # of what is behind everything, which shines by itself
    light = wp.vec3f(1.0)
    ray = rays[y, x, 0, 1]
    place = wp.transform_vector(views[view], ray)
    if shape != _NOTHING:
        row = int(shape)
        if row >= num_shared:
            row = num_shared + (row - num_shared) % (body_of_row.shape[0] - 1 - num_shared)
        # The texture is carved through what carries the shape, and so goes with it.
        place = wp.transform_point(views[view], ray * (depths[view, y, x] / -ray[2]))
        body = body_of_row[row]
        if body >= 0:
            place = wp.transform_point(wp.transform_inverse(poses[world * num_bodies + body]), place)
        normal = normals[view, y, x]
        sun = wp.max(0.0, wp.dot(normal, suns[world]))
        light = skylight * (0.5 + 0.5 * normal[2]) + groundlight * (0.5 - 0.5 * normal[2]) + sunlight * sun
    one, other, paint = waves[world, row, 0], waves[world, row, 1], paints[world, row]
    pattern = wp.float32(0.0)
    if paint[3] > 0.0:
        pattern = wp.sin(_TURN * (wp.dot(wp.vec3f(one[0], one[1], one[2]), place) + one[3]))
        pattern *= wp.sin(_TURN * (wp.dot(wp.vec3f(other[0], other[1], other[2]), place) + other[3]))
        pattern = wp.clamp(paint[3] * pattern, -1.0, 1.0)
    packed = found & _OPAQUE
    for channel in range(3):
        shift = wp.uint32(8 * channel)
        painted = wp.clamp(linear[int((found >> shift) & wp.uint32(255))] * (1.0 + paint[channel] * pattern), 0.0, 1.0)
        level = int(wp.min(painted * light[channel], 1.0) * float(screen.shape[0] - 1) + 0.5)
        shown = wp.min(float(screen[level]) * gains[view][channel], 255.0)
        packed = packed | (wp.uint32(shown) << shift)
    colours[view, y, x] = packed
