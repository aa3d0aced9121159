# SPDX-License-Identifier: Apache-2.0
"""Invalid settings: each ends in one line with its key, before torch, physics or a run's folder is there."""

import copy
import functools

import pytest

from omni.myriad.app import cli, config

LR = "train.params.config"
ODD = """
num_envs=9999999999999999999999|num_envs=0|num_envs=-5|num_envs=1e3|num_envs=many|num_envs=1.5|num_envs=[4]|num_envs={a:1}|num_envs=True|num_envs=nan
num_envs=inf|num_envs=1,2|num_envs=range(1,3)|num_envs=choice(1,2)|num_envs='4 '|num_envs=0x10|num_envs.foo=1
+num_envs.foo=1|~num_envs|num_envs=${nowhere}|num_envs=${task_name}|num_envs=???|num_envs@x=3
seed=|seed=1.5|seed=-2|seed=null|seed=x|seed=4294967296|seed=${seed}|seed=${oc.env:PATH}|seed=[1]|seed=True
max_iterations=0|max_iterations=-1|max_iterations=abc|max_iterations=1.5|max_iterations=False
save_every=0|save_every=x|save_every=2.0
episodes=0|episodes=|episodes=null|episodes=1e2|opset=3|opset=24|opset=|opset=new|opset=17.0
experiment=..|experiment=.|experiment=a/b|experiment=/tmp/x|experiment=[a]|experiment={a:b}|experiment=True
train_dir=|train_dir=null|train_dir=[runs]|checkpoint=[a]|checkpoint={a:b}|checkpoint=True|output=[a]
sim_device=tpu|sim_device=cuda:|sim_device=cuda:-1|sim_device=cuda:x|sim_device=cuda0|sim_device=0|sim_device=[cpu]
headless=maybe|headless=1|headless=|headless=null|headless=yes|test=2|video=maybe|multi_gpu=x|torch_deterministic=no
wandb_activate=1|wandb_activate=online|wandb_project=[1]|wandb_group={a:1}|wandb_name=True|wandb_entity=[]
task=null|task=|task=[Ant]|task=Antt|task=1|task={a:1}|task=../task/Ant|~task|task=Ant,Cartpole|task=Default.yaml
train=null|train=Nope|train=[AntPPO]|train=|~train|engine=null|engine=bullet|engine=1|engine=[physx]|~engine
engine.name=foo|engine.name=null|engine.name=1|engine.name=|engine.shards=0|engine.shards=1.5|engine.shards=-1
engine.shards=automatic|engine.shards=null|engine.shards=[1]|engine.shards=True|engine.render_interval=0
engine.render_interval=x|engine.render_interval=null|engine.kit_args=5|engine.kit_args=[5]|engine.kit_args=null
engine.kit_args=--x|~engine.shards|engine.no_such=1|+engine.no_such=1
task.task_path=/no/such|task.task_path=null|task.task_path=|task.task_path=5|task.task_path=[/no/such]|task.name=null
task.name=|task.name=[a]|~task.name|~task.env|~task.sim|task.env=null|task.env=5|task.env=[1]|task.sim=null|task.sim=x
task.env.numEnvs=0|task.env.numEnvs=abc|task.env.numEnvs=null|task.env.envSpacing=-1|task.env.envSpacing=nan
task.env.envSpacing=inf|task.env.envSpacing=wide|task.env.envSpacing=null|task.env.episodeLength=abc
task.env.episodeLength=0|task.env.episodeLength=-1|task.env.episodeLength=1.5|task.env.episodeLength=null
task.env.controlFrequencyInv=0|task.env.controlFrequencyInv=-2|task.env.controlFrequencyInv=0.5
task.env.controlFrequencyInv=x|task.env.clipActions=-1|task.env.clipActions=0|task.env.clipActions=nan
task.env.clipActions=x|task.env.clipObservations=0|task.env.clipObservations=-5|task.env.clipObservations=null
task.env.clipObservations=[1]|~task.env.clipActions|~task.env.numEnvs|task.env.resetDist=far|task.env.resetDist=nan
task.env.resetDist=null|task.env.resetDist=[3.0]|task.env.resetDist=True|task.env.resetDist=inf|task.env.resetDst=1
task.env.maxEffort={a:1}|task.env.no_such=1|task.env={no_such:1}
task.sim.dt=0|task.sim.dt=-1|task.sim.dt=nan|task.sim.dt=inf|task.sim.dt=2|task.sim.dt=abc|task.sim.dt=1e-300
task.sim.dt=null|task.sim.dt=|task.sim.dt=[0.01]|task.sim.gravity=down|task.sim.gravity=[0,0]|task.sim.gravity=null
task.sim.gravity=[0,0,down]|task.sim.gravity=[0,0,0,0]|task.sim.gravity=[0,0,nan]|task.sim.gravity=-9.81
task.sim.gravity=[]|task.sim.add_ground_plane=maybe|task.sim.add_ground_plane=null|task.sim.no_such=1
+task.sim.no_such=1|task.sim.enable_scene_query_support=2|task.sim.disable_contact_processing=x
task.sim.default_physics_material=null|task.sim.default_physics_material=ice
task.sim.default_physics_material.restitution=-1|task.sim.default_physics_material.restitution=2
task.sim.default_physics_material.static_friction=-0.1|task.sim.default_physics_material.dynamic_friction=x
~task.sim.default_physics_material.restitution|task.sim.physx=null|task.sim.physx=5|task.sim.physx.solver_type=7
task.sim.physx.solver_type=TGS|task.sim.physx.solver_type=True|task.sim.physx.solver_position_iteration_count=0
task.sim.physx.solver_velocity_iteration_count=-1|task.sim.physx.bounce_threshold_velocity=-1
task.sim.physx.enable_sleeping=x|task.sim.physx.gpu_heap_capacity=-1|task.sim.physx.gpu_heap_capacity=1e9
task.sim.physx.gpu_max_rigid_contact_count=4294967296|task.sim.physx.no_such=1|+task.sim.physx.no_such=1
task.sim.Cartpole=5|task.sim.Cartpole.density=foo|task.sim.Cartpole.density=-2|task.sim.Cartpole.no_such=1
+task.sim.Cartpole.no_such=1|task.sim.Cartpole.enable_self_collisions=2|task.sim.Cartpole.sleep_threshold=nan
task.sim.Cartpole.solver_position_iteration_count=1.5|task.sim.Robot.density=5
train.on_cpu=[1]|train.on_cpu=5|train.on_cpu.minibatch_size=0|train.params=null|train.params=5|train.params.algo=null
train.params.algo.name=foo|train.params.algo.name=null|train.params.algo.name=sac|~train.params.algo.name
train.params.model.name=foo|train.params.model.name=continuous_a2c|train.params.model.name=discrete_a2c
train.params.network.space=null|train.params.network.space.continuous=null|train.params.network.space.discrete={}
~train.params.network.space|{LR}.minibatch_size=null|train.params.model=null|train.params.network=null|train.params.network.name=foo
train.params.network.separate=maybe|train.params.network.space=5|train.params.network.space.continuous=5
train.params.network.space.continuous.mu_activation=foo|train.params.network.space.continuous.fixed_sigma=maybe
train.params.network.space.continuous.sigma_init=null|train.params.network.space.continuous.sigma_init.name=foo
train.params.network.mlp=null|train.params.network.mlp.units=[0]|train.params.network.mlp.units=[]
train.params.network.mlp.units=256|train.params.network.mlp.units=[a]|train.params.network.mlp.units=[1.5]
train.params.network.mlp.units=null|train.params.network.mlp.units={a:1}|train.params.network.mlp.activation=foo
train.params.network.mlp.activation=null|train.params.network.mlp.initializer.name=foo
train.params.network.normalization=layer_norm|train.params.network.normalization=batch_norm
train.params.network.mlp.d2rl=maybe|+train.params.network.rnn={name:foo,units:8,layers:1}|+train.params.network.rnn=5
train.params.network.no_such=1|+train.params.network.no_such=1|train.params.config=null|train.params.config=5
train.params.no_such=1|+train.params.no_such=1|train.params.torch_threads=-1|train.params.torch_threads=many
{LR}.normalize_input=maybe|{LR}.normalize_value=1|{LR}.normalize_advantage=x|{LR}.value_bootstrap=2
{LR}.gamma=2|{LR}.gamma=-0.1|{LR}.gamma=nan|{LR}.gamma=x|{LR}.gamma=null|{LR}.gamma=True|{LR}.gamma=|~{LR}.gamma
{LR}.tau=-1|{LR}.tau=1.1|{LR}.tau=[0.9]|{LR}.learning_rate=-1|{LR}.learning_rate=0|{LR}.learning_rate=abc
{LR}.learning_rate=inf|{LR}.learning_rate=nan|{LR}.lr_schedule=foo|{LR}.lr_schedule=1|{LR}.schedule_type=foo
{LR}.schedule_type=null|{LR}.kl_threshold=0|{LR}.kl_threshold=x|{LR}.score_to_win=nan|{LR}.score_to_win=x
{LR}.init_at_random_ep_len=maybe|{LR}.lean=maybe|{LR}.max_epochs=0|{LR}.max_epochs=-1|{LR}.max_epochs=abc
{LR}.max_frames=0|{LR}.max_frames=x|{LR}.save_best_after=-1|{LR}.save_frequency=-1|{LR}.save_frequency=x
{LR}.grad_norm=0|{LR}.grad_norm=-1|{LR}.entropy_coef=x|{LR}.entropy_coef=-1|{LR}.truncate_grads=3|{LR}.e_clip=-1
{LR}.e_clip=0|{LR}.e_clip=nan|{LR}.horizon_length=0|{LR}.horizon_length=1.5|{LR}.horizon_length=x
{LR}.minibatch_size=0|{LR}.minibatch_size=-1|{LR}.minibatch_size=x|{LR}.mini_epochs=0|{LR}.mini_epochs=-1
{LR}.critic_coef=-1|{LR}.critic_coef=x|{LR}.clip_value=maybe|{LR}.seq_length=0|{LR}.seq_length=x
{LR}.bounds_loss_coef=-1|{LR}.bounds_loss_coef=x|{LR}.bound_loss_type=foo|{LR}.reward_shaper=null|{LR}.reward_shaper=1
{LR}.reward_shaper.scale_value=x|{LR}.reward_shaper.scale_value=nan|{LR}.reward_shaper.log_val=maybe
{LR}.reward_shaper.no_such=1|+{LR}.reward_shaper.no_such=1|{LR}.weight_decay=-1|{LR}.games_to_track=0|{LR}.no_such=1
+{LR}.gama=0.9|{LR}.mixed_precision=half|{LR}.ppo=maybe|{LR}.torch_compile=[1]|{LR}.central_value_config=5
foo=1|+foo=1|+foo.bar=1|++foo.bar=1|~foo|foo.bar=1|hydra.run.dir=/x|+hydra.run.dir=/x|hydra/launcher=x|learning_rate=1
--config-name=x|--headless|-x|num_envs|=3|num_envs==|num_envs=[1|schlüssel=1|größe.a=1|seed=ü|a b=1|a:b|@x=1|num_env=4
"""
OVERRIDES = [f"{LR}.learning_rate=1{'0' * 400}", f"experiment={'1' * 5000}"]
OVERRIDES += [text for line in ODD.strip().splitlines() for text in line.replace("{LR}", LR).split("|")]


@pytest.fixture(autouse=True, scope="module")
def composed_once():
    """Compose the same YAML files once for all tests: what they hold is not what is tested."""
    compose = functools.cache(lambda groups: original(list(groups)))
    original, config._compose = config._compose, lambda groups: copy.deepcopy(compose(tuple(groups)))
    yield
    config._compose = original


def key_of(override: str) -> str:
    """Return the key of an override, which its error has to name."""
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


@pytest.mark.parametrize("override", OVERRIDES)
def test_what_cannot_be_ends_in_one_line_that_names_it(override, capsys):
    def main(config):
        raise AssertionError(f"{override} was taken: {config}")

    with pytest.raises(SystemExit) as ended:
        cli.run(
            "train", main, ["task=Cartpole", *(["sim_device=cpu"] if "sim_device" not in override else []), override]
        )
    error = capsys.readouterr().err
    print(error)
    assert ended.value.code == 2
    assert error.startswith("Error: ") and error.count("\n") == 1
    assert key_of(override) in error
