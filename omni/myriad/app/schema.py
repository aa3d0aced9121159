# SPDX-License-Identifier: Apache-2.0
"""Every setting on one line: type, default, help, range. YAML in cfg/ holds the values of task, train and engine.

UNSET says that the YAML must have a value; other defaults there are what holds where the YAML has none. Keys that a
YAML declares beside these may be set too: a task's own ones are checked against what it declares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from omni.myriad.app.options import UNSET, Option, Section, option, options
from omni.myriad.errors import MyriadError

Activation = Literal["None", "relu", "tanh", "sigmoid", "elu", "selu", "swish", "gelu", "softplus"]
Initializer = Literal[
    "default", "const_initializer", "orthogonal_initializer", "orthogonal", "glorot_normal_initializer",
    "glorot_uniform_initializer", "variance_scaling_initializer", "random_uniform_initializer", "kaiming_normal",
]  # fmt: skip
Compile = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
Measure = Literal["bare_loop", "env", "train", "startup", "peers", "camera", "reward"]
Peer = Literal["rl_games", "rl_games_compiled", "mujoco_warp", "gymnasium", "dart", "isaaclab", "mjlab"]

_UINT = {"least": 0, "most": 2**32 - 1}  # PhysX's unsigned int

# -- engine -----------------------------------------------------------------------------------------------------------


class Engine(Section):
    """Physics."""

    name: Literal["auto", "isaacsim", "mujoco", "newton", "physx"] = option(UNSET, "which engine; engine=... sets it")
    shards: Literal["auto"] | int = option(
        UNSET, "PhysX scenes, one thread each; auto: one per core or 4096 envs", least=1
    )
    render_interval: int = option(UNSET, "Isaac Sim: control steps between frames of its window", least=1)
    kit_args: list[str] = option(UNSET, "Isaac Sim: more arguments for Kit")
    experience: str = option(UNSET, "Isaac Sim: a .kit file, or one's name; headless: without a renderer")
    livestream: bool = option(UNSET, "Isaac Sim: send its window to NVIDIA's streaming client")
    enable_env_ids: bool = option(UNSET, "Isaac Sim, on a GPU: ids instead of collision groups keep clones apart")
    contacts_per_env: Literal["auto"] | int = option(UNSET, "Newton: room for contacts, on average", least=1)
    constraints_per_env: Literal["auto"] | int = option(UNSET, "Newton: room for constraints: rows, in each", least=1)


# -- task -------------------------------------------------------------------------------------------------------------


class Env(Section):
    """The environment; a task's YAML adds its own."""

    others = Option(Any)

    numEnvs: int = option(UNSET, "environments; num_envs sets it", least=1)
    envSpacing: float = option(UNSET, "m from one environment to the next", least=0)
    episodeLength: int = option(UNSET, "control steps until an episode is cut short", least=1)
    controlFrequencyInv: int = option(UNSET, "physics steps per control step: the decimation", least=1)
    clipObservations: float = option(UNSET, "observations are clipped to so much", above=0, infinite=True)
    clipActions: float = option(UNSET, "actions are clipped to so much", above=0, infinite=True)


class Material(Section):
    """The ground's material."""

    static_friction: float = option(UNSET, "friction at rest", least=0)
    dynamic_friction: float = option(UNSET, "friction in motion", least=0)
    restitution: float = option(UNSET, "bounciness", least=0, most=1)


class PhysX(Section):
    """PhysX's solver, and its GPU buffers for one scene (shard)."""

    solver_type: Literal[0, 1] = option(UNSET, "0: PGS, 1: TGS", wants="0 or 1")
    solver_position_iteration_count: int = option(4, "iterations for positions", least=1, most=255)
    solver_velocity_iteration_count: int = option(1, "iterations for velocities", least=0, most=255)
    bounce_threshold_velocity: float = option(0.2, "m/s below which nothing bounces", least=0)
    friction_offset_threshold: float = option(0.04, "m between surfaces below which there is friction", least=0)
    friction_correlation_distance: float = option(0.025, "m within which contacts share friction", least=0)
    enable_sleeping: bool = option(UNSET, "let bodies at rest sleep")
    enable_stabilization: bool = option(False, "damp stacks of bodies")
    enable_ccd: bool = option(False, "on a CPU, let bodies that ask for it not pass through others within a step")
    enable_enhanced_determinism: bool = option(False, "on a CPU, let no other environment change a bit, for some speed")
    gpu_max_rigid_contact_count: int = option(1048576, "contacts", **_UINT)
    gpu_max_rigid_patch_count: int = option(163840, "contact patches", **_UINT)
    gpu_found_lost_pairs_capacity: int = option(1048576, "pairs of shapes found or lost", **_UINT)
    gpu_found_lost_aggregate_pairs_capacity: int = option(1048576, "pairs of aggregates found or lost", **_UINT)
    gpu_total_aggregate_pairs_capacity: int = option(1048576, "pairs of aggregates", **_UINT)
    gpu_heap_capacity: int = option(67108864, "bytes of heap", **_UINT)
    gpu_temp_buffer_capacity: int = option(16777216, "bytes for what is temporary", least=0)
    gpu_max_num_partitions: int = option(8, "partitions of the solver", least=1, most=32)
    gpu_collision_stack_size: int = option(67108864, "bytes of stack for collisions", **_UINT)


class Actuator(Section):
    """Motors of some joints."""

    kind: Literal["effort", "position", "velocity", "pd"] = option(
        "position", "effort: set by the task; position, velocity: PhysX's drive; pd: computed here"
    )
    stiffness: float | None = option(None, "effort per position error, N m/rad or N/m", least=0)
    damping: float | None = option(None, "effort per velocity error, N m s/rad or N s/m", least=0)
    effort_limit: float | None = option(None, "N m or N at most", least=0)
    velocity_limit: float | None = option(None, "rad/s or m/s at most", above=0)
    armature: float | None = option(None, "inertia of the rotor, kg m^2 or kg", least=0)
    mimic: bool = option(True, "whether joints that follow another one go on doing so")
    friction: float | None = option(None, "effort of friction, N m or N", least=0)
    delay: int = option(0, "with kind pd: physics steps until a target arrives", least=0, most=1000)

    @staticmethod
    def agree(values: dict[str, Any], prefix: str) -> None:
        """Refuse what a kind of motor does not have."""
        kind, closed = values.get("kind", "position"), {"effort": ("stiffness",), "velocity": ("stiffness",)}
        for name in (*closed.get(kind, ()), *(("delay",) if kind != "pd" else ())):
            if values.get(name):
                raise MyriadError(f"{prefix}{name}={values[name]} is invalid: a motor of kind {kind} has none.")
        if unknown := sorted({*values} - {*options(Actuator)}):
            known = ", ".join(options(Actuator))
            raise MyriadError(f"{prefix}{unknown[0]} is no setting of a motor; they are: {known}.")


class Actuators(Section):
    """Motors by the names of their joints: "panda_joint[1-4]", "*_knee" or "*"."""

    others = Option(Actuator)


class Actor(Section):
    """A robot or object, by its name; -1 leaves what its USD file says."""

    actuators: Actuators | None = option(None, "the motors of a robot, by patterns of joints' names")
    enable_self_collisions: Literal[True, False, -1] | None = option(None, "whether its links collide with each other")
    enable_gyroscopic_forces: Literal[True, False, -1] | None = option(None, "whether spinning links precess")
    disable_gravity: Literal[True, False, -1] | None = option(None, "whether gravity leaves it alone")
    enable_ccd: Literal[True, False, -1] | None = option(None, "whether it is too fast to be looked at step by step")
    solver_position_iteration_count: int | None = option(None, "iterations for positions", least=-1, most=255)
    solver_velocity_iteration_count: int | None = option(None, "iterations for velocities", least=-1, most=255)
    sleep_threshold: float | None = option(None, "energy per mass below which it sleeps, m^2/s^2", least=-1)
    stabilization_threshold: float | None = option(None, "energy per mass below which it is damped, m^2/s^2", least=-1)
    max_depenetration_velocity: float | None = option(None, "m/s at most at which overlaps are resolved", least=-1)
    max_linear_velocity: float | None = option(None, "m/s at most", least=-1)
    max_angular_velocity: float | None = option(None, "degrees/s at most", least=-1)
    angular_damping: float | None = option(None, "of its turning, 1/s", least=-1)
    friction: float | None = option(None, "of shapes without a material of their own, which have 0.5", least=0)
    density: float | None = option(None, "kg/m^3", least=-1)
    mass: float | None = option(None, "kg, of each link; 0 for what follows from density", least=-1)
    contact_offset: float | None = option(None, "m from its surface where contacts begin", least=-1)
    rest_offset: float | None = option(None, "m between surfaces at rest")


class Sim(Section):
    """The simulation; a section with the name of a robot is for that robot."""

    others = Option(Actor)

    dt: float = option(UNSET, "physics step in s, rounded to whole steps per second", least=1e-6, most=1)
    gravity: list[float] = option(UNSET, "m/s^2", size=3)
    add_ground_plane: bool = option(UNSET, "put a ground at z = 0")
    enable_scene_query_support: bool = option(UNSET, "for ray casts; costs a third of a step")
    disable_contact_processing: bool = option(False, "if no view reads contacts: a little faster")
    smooth_cylinders: bool = option(False, "round where they touch triangles, as wheels need; many times slower there")
    contact_reports: bool = option(False, "let contact forces of all bodies be read, as the live page shows them")
    mass_scale: float = option(1.0, "factor on the masses and inertias of robots, to try a policy on others", above=0)
    friction_scale: float = option(1.0, "factor on the friction of ground and robots, likewise", least=0)
    default_physics_material: Material = option(UNSET, "the ground's")
    physx: PhysX = option(UNSET, "PhysX")


class Task(Section):
    """The task."""

    name: str = option(UNSET, "its name: that of its file and class", filled=True)
    like: str | None = option(None, "the task whose file and class it has, where it is another in its settings alone")
    task_path: list[str] = option(UNSET, "folders that hold tasks of your own")
    env: Env = option(UNSET, "the environment")
    sim: Sim = option(UNSET, "the simulation")
    domain_randomization: dict | None = option(None, "what changes by chance, as in OmniIsaacGymEnvs' YAML")


class OwnTasks(Section):
    """What is asked where a run or a file holds everything else of a task."""

    closed = True

    task_path: list[str] = option(UNSET, "folders that hold tasks of your own")


# -- train: rl-games' block --------------------------------------------------------------------------------------------


class Start(Section):
    """How weights begin; what else is given goes to the initializer."""

    others = Option(Any)

    name: Initializer = option(UNSET, "how weights begin")


class Continuous(Section):
    """Continuous actions."""

    mu_activation: Activation = option(UNSET, "of the means")
    sigma_activation: Activation = option(UNSET, "of the deviations' logarithms")
    mu_init: Start = option(UNSET, "how the means' weights begin")
    sigma_init: Start = option(UNSET, "how the deviations' logarithms begin")
    fixed_sigma: bool = option(UNSET, "the same deviations for all observations")


class Space(Section):
    """The network's outputs, by the kind of actions."""

    continuous: Continuous | None = option(None, "for continuous actions")
    discrete: dict | None = option(None, "for discrete ones")
    multi_discrete: dict | None = option(None, "for several discrete ones")


class Mlp(Section):
    """The layers."""

    units: list[int] = option(UNSET, "width of each hidden layer", least=1, filled=True)
    activation: Activation = option(UNSET, "after each layer")
    initializer: Start = option(UNSET, "how weights begin")
    d2rl: bool = option(False, "feed the observations to every layer")
    norm_only_first_layer: bool = option(False, "normalise the first layer alone")


class Rnn(Section):
    """Memory."""

    name: Literal["lstm", "gru"] = option(UNSET, "kind of memory")
    units: int = option(UNSET, "its width", least=1)
    layers: int = option(UNSET, "its layers", least=1)
    before_mlp: bool = option(False, "before the other layers, not behind them")
    concat_input: bool = option(False, "give it the observations as well")
    concat_output: bool = option(False, "give the outputs what went into it as well")
    layer_norm: bool = option(False, "normalise its output")


class Network(Section):
    """The network."""

    name: Literal["actor_critic", "resnet_actor_critic"] = option(UNSET, "its architecture")
    separate: bool = option(False, "a network of its own for the value")
    normalization: Literal["layer_norm", "batch_norm"] | None = option(None, "of layers, with mlp.d2rl")
    value_activation: Activation = option("None", "of the value")
    space: Space | None = option(None, "the outputs")
    mlp: Mlp = option(UNSET, "the layers")
    rnn: Rnn | None = option(None, "the memory")
    cnn: dict | None = option(None, "convolutions, for images")

    @staticmethod
    def agree(values: dict[str, Any], prefix: str) -> None:
        """Refuse what rl-games 1.6.5 would leave out without a word."""
        if (kind := values.get("normalization")) and not values["mlp"].get("d2rl"):
            raise MyriadError(
                f"{prefix}normalization={kind} is invalid: rl-games normalises only layers with mlp.d2rl=True."
            )


class Algo(Section):
    """The algorithm."""

    name: Literal["a2c_continuous", "a2c_discrete"] = option(UNSET, "PPO for continuous or discrete actions")


class Model(Section):
    """What the network's outputs mean."""

    name: Literal["continuous_a2c_logstd", "continuous_a2c_tanh", "discrete_a2c", "multi_discrete_a2c"] = option(
        UNSET, "distribution of the actions"
    )


class RewardShaper(Section):
    """Rewards that the learner sees."""

    scale_value: float = option(1, "they are multiplied by this")
    shift_value: float = option(0, "this is added first")
    min_val: float = option(float("-inf"), "and they are at least this", infinite=True)
    max_val: float = option(float("inf"), "and at most this", infinite=True)
    log_val: bool = option(False, "their logarithm")

    @staticmethod
    def agree(values: dict[str, Any], prefix: str) -> None:
        """Refuse an empty range."""
        if values.get("min_val", float("-inf")) > values.get("max_val", float("inf")):
            raise MyriadError(f"{prefix}min_val={values['min_val']} is invalid: it must be at most max_val.")


class Update(Section):
    """What policy and central value are learned with alike."""

    learning_rate: float = option(UNSET, "step of the optimiser, at the start", above=0)
    lr_schedule: Literal["adaptive", "linear", "constant", "identity", "None"] | None = option(None, "how it changes")
    schedule_type: Literal["legacy", "standard"] = option("legacy", "adapted after each minibatch, or each mini epoch")
    kl_threshold: float = option(0.008, "divergence of policies that adaptive keeps to", above=0)
    minibatch_size: int = option(None, "samples at most; fitted to num_envs * horizon_length", least=1)
    minibatch_size_per_env: int = option(0, "the same for each environment", least=0)
    mini_epochs: int = option(UNSET, "passes over the samples of an epoch", least=1)
    e_clip: float = option(0.2, "how far the policy may move in an epoch: PPO's epsilon", above=0)
    clip_value: bool = option(UNSET, "keep the value as near as the policy")
    grad_norm: float = option(1.0, "norm that gradients are cut to", above=0)
    truncate_grads: bool = option(False, "cut gradients")
    weight_decay: float = option(0.0, "of the optimiser", least=0)
    normalize_input: bool = option(UNSET, "normalise observations by running mean and variance")
    mixed_precision: bool = option(False, "16 bits where torch thinks that they do")
    freeze_critic: bool = option(False, "do not learn the value")


class CentralValue(Update):
    """A value network of its own, on the task's states."""

    network: Network = option(UNSET, "its network")


class Config(Update):
    """PPO, as rl-games reads it."""

    horizon_length: int = option(UNSET, "control steps of every environment in an epoch", least=1)
    max_epochs: int | None = option(None, "epochs; max_iterations goes before it", least=1)
    max_frames: int | None = option(None, "environment steps to end after", least=1)
    score_to_win: float = option(float("inf"), "mean reward to end at", infinite=True)
    gamma: float = option(UNSET, "discount of later rewards", least=0, most=1)
    tau: float = option(UNSET, "lambda of generalised advantage estimation", least=0, most=1)
    critic_coef: float = option(UNSET, "weight of the value's loss", least=0)
    entropy_coef: float = option(UNSET, "weight of the entropy", least=0)
    bounds_loss_coef: float | None = option(None, "weight of the loss on means beyond the actions' bounds", least=0)
    bound_loss_type: Literal["bound", "regularisation"] = option("bound", "loss beyond the bounds, or on all means")
    ppo: bool = option(True, "clip as PPO does; else as A2C")
    normalize_value: bool = option(False, "normalise returns by running mean and variance")
    normalize_advantage: bool = option(UNSET, "normalise advantages over an epoch")
    value_bootstrap: bool = option(True, "episodes cut short by the step limit count as going on")
    reward_shaper: RewardShaper = option(UNSET, "rewards that the learner sees")
    use_smooth_clamp: bool = option(False, "clip smoothly")
    clip_actions: bool = option(True, "clip actions to the bounds")
    schedule_entropy: bool = option(False, "lr_schedule=linear lowers entropy_coef as well")
    init_at_random_ep_len: bool = option(False, "begin at random ages, so that episodes do not all end together")
    seq_length: int = option(4, "steps of a sequence, with a memory", least=1)
    zero_rnn_on_done: bool = option(True, "an episode begins with an empty memory")
    symmetry: bool = option(False, "learn from each sample's mirror image, too, where the task knows left from right")
    lean: bool = option(True, "our own rollout and update where they apply; False: those of rl-games")
    torch_compile: bool | Compile | dict = option(False, "compile the networks: True, or torch's mode")
    games_to_track: int = option(100, "episodes that the mean reward is over", least=1)
    save_best_after: int = option(100, "epochs before the first best.pth", least=0)
    save_frequency: int = option(0, "epochs between numbered checkpoints, 0: none; save_every goes before it", least=0)
    central_value_config: CentralValue | None = option(None, "a value network of its own")


class OnCpu(Config):
    """Some settings of `Config`."""

    partial = True


class Params(Section):
    """The learner's settings, as rl-games reads them."""

    torch_threads: Literal["auto"] | int = option("auto", "threads of an update on the CPU; 0: torch's", least=0)
    algo: Algo = option(UNSET, "the algorithm")
    model: Model = option(UNSET, "what the network's outputs mean")
    network: Network = option(UNSET, "the network")
    config: Config = option(UNSET, "PPO")

    @staticmethod
    def agree(values: dict[str, Any], prefix: str) -> None:
        """Refuse outputs of the network that the model or the algorithm cannot have."""
        algo, model, space = values["algo"]["name"], values["model"]["name"], values["network"].get("space") or {}
        kind = next(kind for kind in ("multi_discrete", "discrete", "continuous") if model.startswith(kind))
        if (kind == "continuous") != (algo == "a2c_continuous"):
            raise MyriadError(f"{prefix}model.name={model} is invalid: it must fit {prefix}algo.name={algo}.")
        if {*space} != {kind} or (kind == "continuous" and not space[kind]):
            wrong = next((name for name in space if name != kind), kind)
            raise MyriadError(
                f"{prefix}network.space.{wrong} is invalid: {model} needs a section {kind} there, and no other."
            )


class Library(Section):
    """Settings of the library that learns, as it calls them."""

    others = Option(Any)


class Train(Section):
    """The learner."""

    learner: str = option("rl_games", "library that learns", filled=True)
    library: Library | None = option(
        None, "that library's own settings by its own names, put over what follows from params"
    )
    on_cpu: OnCpu | None = option(None, "replaces settings of params.config where num_envs is left to a CPU")
    params: Params = option(UNSET, "the learner's settings")


# -- verbs ------------------------------------------------------------------------------------------------------------

_DEVICE = {"matches": r"(cpu|gpu|cuda(:\d+)?)?", "wants": "cpu, cuda or cuda:<number>"}
_NAME = {"matches": r"(?!\.{1,2}$)[^/\x00-\x1f]{0,200}", "wants": "the name of a folder, without /"}
_FOLDER = {"filled": True, "wants": "a folder"}
_SEED = {"least": -1, "most": 2**32 - 1}


class Simulate(Section):
    """What runs a task."""

    task: Task = option("Cartpole", "the task")
    train: Train = option("", "the learner's YAML; empty: <task>PPO, else DefaultPPO")
    engine: Engine = option("auto", "physics; auto: Isaac Sim where it is installed, else physx")
    num_envs: int | None = option(None, "environments; empty: the task's on a GPU, fit for the cores on a CPU", least=1)
    seed: int = option(42, "seed of everything random; -1 draws one", **_SEED)
    sim_device: str = option("", "cpu, cuda, cuda:<n>; empty: the GPU if there is one", **_DEVICE)
    torch_deterministic: bool = option(False, "on a GPU, refuse operations whose results vary between runs (slower)")
    headless: bool = option(True, "Isaac Sim without its window")
    oige: str = option("", "a checkout of OmniIsaacGymEnvs whose own files are run, as they are")
    train_dir: str = option("runs", "folder that holds the runs", **_FOLDER)


class Watchable(Section):
    """What can be looked at while it runs."""

    viewer: bool = option(False, "open a live page in the browser; ./myriad view RUN opens one later")
    viewer_host: str = option("127.0.0.1", "address of the page; another than loopback's needs the token it prints")
    viewer_port: int = option(8080, "its port, or one of the next ones", least=0, most=65535)


class PlayVerb(Simulate, Watchable):
    """Play a trained policy."""

    usage = "task=Ant [checkpoint=FILE] [key=value ...]"

    checkpoint: str = option("", "a checkpoint's file, a run's name or folder, or pretrained; empty: the last run")
    fault: str = option("", "replay this instead: a file that a training wrote when a number was not finite")
    episodes: int = option(100, "episodes to play", least=1)
    video: bool | None = option(None, "film the first environment; empty: no")


class Learn(Simulate):
    """A training."""

    max_iterations: int | None = option(None, "epochs to train for; empty: the task's number", least=1)
    learner: str = option(
        "", "library that learns, as train.learner, which it goes before: rl_games, rsl_rl, skrl, sb3"
    )
    settings: str = option("", "a YAML of settings, which go before those given beside it")
    experiment: str = option("", "name of the run's folder; empty: task and time", **_NAME)
    on_nan: Literal["stop", "reset"] = option(
        "stop", "where numbers of an environment are not finite: end, or reset it"
    )
    save_every: int | None = option(None, "epochs between numbered checkpoints; empty: save_frequency", least=1)
    wandb_activate: bool = option(False, "log to Weights & Biases: online with an API key, offline without")
    wandb_project: str = option("myriad", "its project")
    wandb_group: str = option("", "its group")
    wandb_name: str = option("", "the run's name there; empty: that of its folder")
    wandb_entity: str = option("", "whose project it is")


class TrainVerb(Learn, Watchable):
    """Train a policy."""

    usage = "task=Ant num_envs=4096 seed=42 [key=value ...]"

    checkpoint: str = option("", "what to resume: a checkpoint's file, or a run's name or folder")
    video: bool | None = option(None, "film a few environments now and then, into films/ of the run; empty: no")
    video_every: int = option(100, "with video=True: epochs from one film to the next", least=1)
    gpus: int = option(1, "GPUs of this machine to train on, a process for each; num_envs are each one's", least=1)
    multi_gpu: bool = option(False, "this process is one of several that torchrun started, each with a GPU of its own")
    test: bool = option(False, "play the checkpoint instead, as the verb play does")
    episodes: int = option(100, "with test=True: episodes to play", least=1)


class SweepVerb(Learn):
    """Train a task many times with other settings, and say which are best."""

    usage = "task=Ant 'sweep.learning_rate=loguniform(1e-4,1e-2)' trials=32 [key=value ...]"


@dataclass(frozen=True)
class Sweep:
    """What the verb sweep has beside the settings of the trainings; commas separate several."""

    trials: int = option(16, "settings to try, drawn from the sweep.* given; search=pbt: the population", least=1)
    search: Literal["random", "grid", "optuna", "pbt"] = option(
        "random", "how they are chosen; grid: every combination of lists; pbt: the worse take over from the better"
    )
    seeds: tuple[int, ...] = option((), "each is trained with each of these; empty: the setting seed", least=0)
    asha: bool = option(False, "stop poor trainings early")
    grace: float = option(10.0, "asha: percent of a training before it may be stopped", above=0, most=100)
    reduction: int = option(3, "asha: of so many, one goes on", least=2)
    exploit_every: float = option(10.0, "search=pbt: percent of a training between comparisons", above=0, most=50)
    metric: Literal["reward_mean", "reward_best", "episode_length_mean", "frames_per_second"] = option(
        "reward_mean", "a column of progress.csv, the larger the better"
    )
    gpu_per_trial: float | None = option(None, "GPUs of a trial, or a part of one; empty: one, if there is", least=0)
    cpus_per_trial: float | None = option(None, "cores of a trial; empty: its share, on a CPU one", above=0)
    concurrent: int | None = option(None, "trials at a time at most; empty: as many as there is room for", least=1)
    ray_address: str = option("", "a Ray cluster, such as auto or HOST:6379; empty: this machine alone")
    resume: str = option("", "folder of a sweep that was ended: go on with it, everything else is as it was")


class ExportVerb(Section):
    """Write a trained policy as one ONNX file, if it acts as the learner's own does."""

    usage = "task=Ant [checkpoint=FILE] [key=value ...]"
    settings_of = "its run"

    task: OwnTasks = option("Cartpole", "the task it was trained for")
    checkpoint: str = option("", "a checkpoint's file, a run's name or folder, or pretrained; empty: the last run")
    output: str = option("", "file to write; empty: exported/policy.onnx in the run's folder")
    oige: str = option("", "the checkout of OmniIsaacGymEnvs whose task it is")
    opset: int = option(17, "ONNX operator set; old enough for the runtimes on robots", least=9, most=23)
    engine: str = option("auto", "where the task is run, if the run's folder lacks what the proof needs")
    sim_device: str = option("", "device for that", **_DEVICE)
    train_dir: str = option("runs", "folder that holds the runs", **_FOLDER)


class DeployVerb(Watchable):
    """Run an exported policy outside its trainer; tables and films go to <policy>.deploy/ beside its file."""

    usage = "policy.onnx [key=value ...]"
    settings_of = "its file"

    task: OwnTasks = option(UNSET, "the file's own")
    engine: str = option("physx", "physx: one robot there; mujoco, newton: the same robot in that engine as well")
    episodes: int = option(100, "episodes in each place, all from the same starts", least=1)
    seed: int = option(42, "seed of the starts; -1 draws one", **_SEED)
    mass: float = option(1.0, "factor on the masses and inertias of the one robot", above=0)
    friction: float = option(1.0, "factor on the friction of ground and robot, there", least=0)
    latency: float = option(0.0, "control steps by which commands reach the one robot late", least=0, most=100)
    video: bool | None = option(None, "film each engine's first episode; empty: yes")
    checkpoint: str = option("", "what the file was exported from; empty: sought in its run")
    train_dir: str = option("runs", "folder that holds the runs", **_FOLDER)


class BenchmarkVerb(Simulate):
    """Measure how fast this machine steps, trains and starts."""

    usage = "task=Ant num_envs=4096,16384 [key=value ...]"

    max_iterations: int | None = option(None, "measure=reward: epochs at most; empty: the task's number", least=1)


@dataclass(frozen=True)
class Benchmark:
    """What the verb benchmark has beside the settings of the runs that it measures; commas separate several."""

    num_envs: tuple[int, ...] = option((), "numbers of environments, each for itself; empty: the task's", least=1)
    gpus: tuple[int, ...] = option((), "measure=train: on so many GPUs, each number for itself; empty: one", least=1)
    measure: tuple[Measure, ...] = option(
        get_args(Measure)[:-2], "bare_loop: physics alone; env: random actions; camera: its pictures; all"
    )
    peers: tuple[Peer, ...] = option(get_args(Peer), "measure=peers: what to compare with, as far as installed; none")
    reward: tuple[float, ...] = option((3000.0, 5900.0), "measure=reward: mean rewards to train until")
    seeds: tuple[int, ...] = option((1, 2, 3, 4, 5), "measure=reward: a run for each seed", least=0)
    repeats: int = option(5, "how often each is measured; start-ups at most 3 times", least=1)
    seconds: float = option(1.0, "length of one repeat", least=0.001)
    epochs: int = option(50, "epochs measured in training, a fifth of them to warm up", least=5)
    minutes: float = option(8.0, "what does not fit into so many is left out, and listed", least=0.001)
    output: str = option("", "folder for results, which are added to; empty: one below runs/benchmarks")
    name: str = option("", "name of the files; empty: task and device, such as ant-h200")
    merge: tuple[str, ...] = option((), "results of earlier commands to put together, instead of measuring")
    render: str = option("", "page whose tables are written from the results in the folder of its name")


class PublishVerb(Simulate):
    """Train, play, export, film and judge the policies that ship, in policies/<Task>/."""

    usage = "task=Ant seeds=1,2,3 [key=value ...]"

    max_iterations: int | None = option(None, "epochs to train for; empty: the task's number", least=1)


@dataclass(frozen=True)
class Publish:
    """What the verb publish has beside the settings of its trainings; commas separate several."""

    seeds: tuple[int, ...] = option((1, 2, 3), "a training for each seed; the median's policy ships", least=0)
    runs: tuple[str, ...] = option((), "finished runs to publish, instead of training")
    episodes: int = option(1024, "to play of each", least=1)
    goal: float = option(0.0, "mean reward to time; 0: that of tests/bands.toml")
    output: str = option("", "folder to write; empty: policies/<Task>")
    judge: tuple[str, ...] = option(
        (), "instead: tasks whose shipped policies are judged, or all; writes docs/policies.md"
    )
    judge_episodes: int = option(100, "episodes in each place where they are judged", least=1)


GROUPS = ("task", "engine", "train")
"""Options whose value is the name of a YAML file in the folder of that name."""

VERBS = {
    "train": TrainVerb,
    "play": PlayVerb,
    "export": ExportVerb,
    "deploy": DeployVerb,
    "benchmark": BenchmarkVerb,
    "publish": PublishVerb,
    "sweep": SweepVerb,
}


@cache
def everything() -> dict[str, Option]:
    """Return the options of all verbs, which every configuration holds; the groups come last, as sections."""
    plain = {name: o for verb in VERBS.values() for name, o in options(verb).items() if name not in GROUPS}
    return plain | options(Simulate)
