# SPDX-License-Identifier: Apache-2.0
"""The texts of small robots."""

INERTIAL = '<inertial><mass value="1"/><inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/></inertial>'
LIMIT = '<limit lower="-1" upper="1" effort="10" velocity="5"/>'
TETRAHEDRON = "v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


def link(name, inertial=INERTIAL, shape='<box size="0.1 0.1 0.4"/>'):
    looks = f"<geometry>{shape}</geometry>"
    return f'<link name="{name}">{inertial}<visual>{looks}</visual><collision>{looks}</collision></link>'


def joint(name, parent, child, kind="revolute", inside=LIMIT):
    ends = f'<parent link="{parent}"/><child link="{child}"/>'
    return f'<joint name="{name}" type="{kind}">{ends}<origin xyz="0 0 0.5"/><axis xyz="0 1 0"/>{inside}</joint>'


ARM = """#usda 1.0
(
    defaultPrim = "arm"
    metersPerUnit = 1
    upAxis = "Z"
)
def Xform "arm"
{
    def Xform "base" ( prepend apiSchemas = ["PhysicsRigidBodyAPI", "PhysicsMassAPI"] )
    {
        float physics:mass = 2
        float3 physics:diagonalInertia = (0.1, 0.1, 0.1)
        def Cube "box" ( prepend apiSchemas = ["PhysicsCollisionAPI"] )
        {
            double size = 0.2
        }
        def Xform "arm" ( prepend apiSchemas = ["PhysicsRigidBodyAPI", "PhysicsMassAPI"] )
        {
            float physics:mass = 1
            point3f physics:centerOfMass = (0, 0, 0.2)
            float3 physics:diagonalInertia = (0.02, 0.02, 0.001)
            double3 xformOp:translate = (0, 0, 0.3)
            uniform token[] xformOpOrder = ["xformOp:translate"]
            def Capsule "capsule" ( prepend apiSchemas = ["PhysicsCollisionAPI"] )
            {
                double radius = 0.05
                double height = 0.2
                double3 xformOp:translate = (0, 0, 0.2)
                uniform token[] xformOpOrder = ["xformOp:translate"]
            }
            def Xform "tool" ( prepend apiSchemas = ["PhysicsRigidBodyAPI", "PhysicsMassAPI"] )
            {
                float physics:mass = 0.5
                float3 physics:diagonalInertia = (0.001, 0.001, 0.001)
                double3 xformOp:translate = (0, 0, 0.5)
                uniform token[] xformOpOrder = ["xformOp:translate"]
            }
        }
    }
    def PhysicsFixedJoint "weld"
    {
        rel physics:body1 = </arm/base>
    }
    def PhysicsRevoluteJoint "elbow" ( prepend apiSchemas = ["PhysicsDriveAPI:angular"] )
    {
        uniform token physics:axis = "Y"
        rel physics:body0 = </arm/base>
        rel physics:body1 = </arm/base/arm>
        point3f physics:localPos0 = (0, 0, 0.3)
        float physics:lowerLimit = -90
        float physics:upperLimit = 45
        float drive:angular:physics:maxForce = 20
        float drive:angular:physics:damping = 0.01
    }
    def PhysicsFixedJoint "flange"
    {
        rel physics:body0 = </arm/base/arm>
        rel physics:body1 = </arm/base/arm/tool>
        point3f physics:localPos0 = (0, 0, 0.5)
    }
    def PhysicsScene "anotherScene"
    {
    }
}
"""

_FINGER = """
    def Xform "{side}" ( prepend apiSchemas = ["PhysicsRigidBodyAPI", "PhysicsMassAPI"] )
    {{
        float physics:mass = 0.1
        float3 physics:diagonalInertia = (0.001, 0.001, 0.001)
        double3 xformOp:translate = (0, {at}, 0.1)
        uniform token[] xformOpOrder = ["xformOp:translate"]
    }}
    def PhysicsPrismaticJoint "slide_{side}"
    {{
        uniform token physics:axis = "Y"
        rel physics:body0 = </hand/palm>
        rel physics:body1 = </hand/{side}>
        point3f physics:localPos0 = (0, {at}, 0.1)
        float physics:lowerLimit = {lower}
        float physics:upperLimit = {upper}
        {mimic}
    }}
"""
_FOLLOWS = "rel newton:mimicJoint = </hand/slide_left>\n        float newton:mimicCoef1 = -1"
HAND = (
    """#usda 1.0
(
    defaultPrim = "hand"
    metersPerUnit = 1
    upAxis = "Z"
)
def Xform "hand"
{
    def Xform "palm" ( prepend apiSchemas = ["PhysicsRigidBodyAPI", "PhysicsMassAPI"] )
    {
        float physics:mass = 1
        float3 physics:diagonalInertia = (0.01, 0.01, 0.01)
    }
    def PhysicsFixedJoint "weld"
    {
        rel physics:body1 = </hand/palm>
    }
"""
    + _FINGER.format(side="left", at=0.1, lower=0, upper=0.05, mimic="")
    + _FINGER.format(side="right", at=-0.1, lower=-0.05, upper=0, mimic=_FOLLOWS)
    + "}\n"
)
