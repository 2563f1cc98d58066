"""Profiles: one name chooses models, sizes and rates for every notebook and command. A small YAML file, validated."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from .files import DATA, InputError, read_table, write_text

FOLDER = DATA / "profiles"


class Strict(BaseModel, extra="forbid"):
    """Unknown fields are errors: a misspelt setting must not pass in silence.

    >>> Evaluation(batchsize=8)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: batchsize: Extra inputs are not permitted
    """


class ModelChoice(Strict):
    """A model: `tiny:NAME`, a folder, or a Hub id with the commit that pins it.

    >>> load_profile("tiny-cpu").policy
    ModelChoice(path='tiny:policy', revision=None, backend='transformers', dtype='float32', load_in_4bit=False)
    """

    path: str
    revision: str | None = None
    backend: Literal["transformers", "unsloth"] = "transformers"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    load_in_4bit: bool = Field(False, description="Unsloth only")


class DataSizes(Strict):
    """How many samples of each split; a source with fewer gives what it has.

    >>> DataSizes(train=1000, probe=100, test=0)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: test: Input should be greater than 0
    """

    train: int = Field(gt=0)
    probe: int = Field(gt=0)
    test: int = Field(gt=0)


class Training(Strict):
    """Settings of the GRPO stage; rates are for LoRA.

    >>> training = load_profile("tiny-cpu").training
    >>> training.algorithm, training.group_size, training.beta
    ('grpo', 8, 0.05)
    """

    algorithm: str = Field("grpo", description="a preset of `data/grpo.yaml`, whose settings it brings along")
    steps: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    beta: float = Field(ge=0, description="weight of the KL penalty")
    loss_type: Literal["grpo", "dapo", "dr_grpo"] = Field("grpo", description="how the losses of tokens are averaged")
    scale_rewards: Literal["group", "batch", "none"] = Field("group", description="whose standard deviation divides advantages")
    importance_sampling_level: Literal["token", "sequence"] = "token"
    weighted_kl: bool = Field(True, description="KL times the ratio, whose gradient is then that of the true KL (DeepSeek-V3.2)")
    epsilon_low: float = Field(0.2, gt=0, description="a ratio is clipped below 1 less this")
    epsilon_high: float = Field(0.2, gt=0, description="and above 1 plus this")
    delta: float | None = Field(None, gt=1, description="where advantages are negative, no ratio counts more than this (dual clip)")
    rollouts: Literal["transformers", "vllm-colocate", "vllm-server"] = Field("transformers", description="by whom (vLLM: GPU)")
    vllm_server: str = Field("http://localhost:8000", description="where `trl vllm-serve` listens, for vllm-server")
    updates_per_batch: int = Field(1, gt=0, description="optimizer steps for each batch of rollouts")
    dynamic_sampling: Literal["mean", "std"] | None = Field(None, description="which groups are dropped and drawn anew")
    max_draws: int = Field(4, gt=0, description="batches of rollouts drawn at most, to replace what was dropped")
    share_pictures: bool = Field(True, description="a picture is looked at once for its group (transformers)")
    share_prompts: bool = Field(True, description="a prompt is read once for its group (transformers, no gradient checkpointing)")
    gradient_checkpointing: bool = Field(True, description="on a GPU: less memory, more time")
    weight_decay: float = Field(0.01, ge=0)
    schedule: Literal["linear", "constant_with_warmup"] = Field("linear", description="of the learning rate after the warm-up")
    group_size: int = Field(ge=2)
    prompts_per_step: int = Field(gt=0)
    micro_batch: int | None = Field(None, gt=0, description="responses in a pass with gradients; null: the whole step")
    temperature: float = 1.0
    max_grad_norm: float = 1.0
    lora_rank: int = Field(gt=0)
    lora_alpha: int = Field(gt=0)
    warmup_steps: int = 0
    save_every: int = Field(50, gt=0)
    probe_every: int = Field(25, gt=0)
    max_length: int = Field(4096, gt=0, description="prompt, picture and response together, in tokens (Unsloth)")

    @model_validator(mode="after")
    def _divides(self) -> "Training":
        if self.micro_batch and (self.group_size * self.prompts_per_step) % self.micro_batch:
            raise ValueError("micro_batch must divide group_size x prompts_per_step")
        if self.algorithm not in (known := read_table("grpo")["algorithms"]):
            raise ValueError(f"unknown algorithm {self.algorithm!r}; use one of {', '.join(known)}")
        return self


class Evaluation(Strict):
    """Settings of generation and scoring.

    >>> load_profile("tiny-cpu", {"evaluation.copies": 2}).evaluation.copies
    2
    """

    batch_size: int = 64
    copies: int = Field(8, ge=1, description="sampled responses for each question, for pass@k")


class Memory(Strict):
    """Estimated gigabytes and where each part lives.

    >>> load_profile("tiny-cpu").memory.policy
    '0.01 GB, RAM'
    """

    policy: str
    rollouts: str
    judge: str
    embedder: str


class Profile(Strict):
    """Everything that differs between a laptop and a GPU machine.

    >>> profile = load_profile("tiny-cpu")
    >>> profile.device, profile.judge, profile.reward
    ('cpu', 'tiny', 'robust')
    """

    name: str
    description: str
    device: Literal["cpu", "cuda", "several machines"]
    policy: ModelChoice
    judge: str
    embedder: ModelChoice
    reward: Literal["robust", "faithful"] = "robust"
    modality_aliases: bool = Field(False, description="whether <CT> counts as <CT_SCAN> for the modality signal")
    prompt_style: Literal["compact", "full"] = "full"
    image_size: int | None = Field(None, description="pictures are resized to this many pixels a side; null keeps them")
    max_prompt_chars: int | None = Field(None, description="longer questions lose text from their start")
    max_new_tokens: int = Field(gt=0)
    data: DataSizes
    training: Training
    evaluation: Evaluation
    memory: Memory


def parse_pairs(pairs: Iterable[str], what: str, example: str = "") -> dict[str, Any]:
    """`["n=3", "name=x"]` as a dictionary with YAML values; only what is called `settings` stays text.

    Args:
        what: what a pair is called in an error message.
        example: further words for it.

    Raises:
        InputError: a pair has no `=`, or its value cannot be read.

    >>> parse_pairs(["steps=3", "judge=rules", "settings=training.steps=3"], "parameter")
    {'steps': 3, 'judge': 'rules', 'settings': 'training.steps=3'}
    """
    values = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"{what} {pair!r} is not of the form name=value{example}")
        try:
            values[name] = value if name == "settings" else yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"{what} {pair!r} has a value that cannot be read") from error
    return values


def parse_settings(text: str) -> dict[str, Any]:
    """`"training.steps=40, data.test=100"` as `{"training.steps": 40, "data.test": 100}`; values are YAML.

    Raises:
        InputError: a part has no `=`, or its value cannot be read.

    >>> parse_settings("training.dynamic_sampling=null, training.learning_rate=5e-4")  # to YAML 5e-4 is a text, 5.0e-4 a number
    {'training.dynamic_sampling': None, 'training.learning_rate': '5e-4'}
    >>> load_profile("tiny-cpu", parse_settings("training.learning_rate=5e-4")).training.learning_rate  # a profile takes both
    0.0005
    """
    parts = filter(None, map(str.strip, text.split(",")))
    return {name.strip(): value for name, value in parse_pairs(parts, "setting", ", such as training.steps=40").items()}


def load_profile(name: str, overrides: dict[str, Any] | None = None) -> Profile:
    """A shipped profile by name, or one of your own by path (`*.yaml`).

    Args:
        overrides: dotted settings to change, such as `{"training.steps": 40}`. `training.algorithm` brings its preset along, which
            then goes before the profile's own settings; where the profile names the algorithm itself, its own go first.

    Raises:
        InputError: unknown name, unreadable file, unknown or invalid setting.

    >>> load_profile("tiny-cpu", {"training.algorithm": "dr_grpo"}).training.scale_rewards  # an algorithm brings its settings along
    'none'
    >>> load_profile("tiny-cpu", {"training.step": 40})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    medix_lite.files.InputError: profile 'tiny-cpu' has no setting 'training.step'; see ...
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        shipped = sorted(path.stem for path in FOLDER.glob("*.yaml"))
        raise InputError(f"unknown profile {name!r}; use one of {', '.join(shipped)}, or the path of a YAML file")
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
        fields["training"] = choose_algorithm(fields["training"], (overrides or {}).get("training.algorithm"))
        for key, value in (overrides or {}).items():
            *parents, last = key.split(".")
            place = fields
            for parent in parents:
                place = place[parent]
            if not isinstance(place, dict):
                raise KeyError(key)
            place[last] = value
        return Profile.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden" and setting in (overrides or {}):
            raise InputError(f"profile {name!r} has no setting {setting!r}; see {path}") from error
        raise InputError(f"profile {path}: setting {setting!r}: {first['msg']}") from error
    except KeyError as error:
        raise InputError(f"profile {name!r} has no setting {error.args[0]!r}; see {path}") from error
    except (OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        raise InputError(f"cannot read profile {path}: {str(error).splitlines()[0]}") from error


def choose_algorithm(training: dict[str, Any], named: str | None) -> dict[str, Any]:
    """Settings of GRPO with those of an algorithm: another one than theirs goes before them, and what their own has set goes.

    >>> choose_algorithm({"steps": 5, "beta": 0.1}, "dr_grpo")
    {'steps': 5, 'beta': 0.0, 'loss_type': 'dr_grpo', 'scale_rewards': 'none'}
    """
    presets, own = read_table("grpo")["algorithms"], training.get("algorithm", "grpo")
    if named in (None, own):
        return presets.get(own, {}) | training
    return {k: v for k, v in training.items() if k not in presets.get(own, {})} | presets.get(named, {})


def change_training(profile: Profile, changes: dict[str, Any]) -> Profile:
    """A profile with some settings of its training changed; `algorithm` among them brings its preset along.

    >>> change_training(load_profile("tiny-cpu"), {"algorithm": "dr_grpo", "steps": 5}).training.scale_rewards
    'none'
    """
    training = choose_algorithm(profile.training.model_dump(), changes.get("algorithm")) | changes
    return profile.model_copy(update={"training": Training.model_validate(training)})


def processes_of(profile: Profile) -> Any:
    """Accelerate's `PartialState`: which of how many processes this is, under torchrun or `accelerate launch`.

    >>> processes_of(load_profile("tiny-cpu")).num_processes
    1
    """
    from accelerate import PartialState

    return PartialState(cpu=profile.device == "cpu")


def save_profile(profile: Profile, path: Path) -> None:
    """Write the resolved profile as YAML, every default spelt out.

    >>> import tempfile
    >>> path, profile = Path(tempfile.mkdtemp()) / "profile.yaml", load_profile("tiny-cpu", {"training.steps": 40})
    >>> save_profile(profile, path)
    >>> load_profile(str(path)) == profile
    True
    """
    write_text(path, yaml.safe_dump(profile.model_dump(), sort_keys=False))
