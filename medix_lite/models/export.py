"""Export. In: a run with a trained adapter. Out: the adapter, merged weights, and a card that says what they can and cannot do."""

import shutil
from pathlib import Path

from ..files import InputError, read_json, refuse_existing, render, write_json, write_text
from ..profiles import load_profile
from .load import load_policy, policy_revision


def export_run(run: Path, out: Path) -> None:
    """Write `out/adapter` (for PEFT), `out/merged` (for transformers and vLLM; safetensors) and `out/README.md`.

    `out` appears when everything in it is whole.

    Raises:
        InputError: the run is not there or has no adapter, its base has changed since, or `out` exists.

    >>> import tempfile
    >>> from peft import LoraConfig, get_peft_model
    >>> from medix_lite.runs import open_run
    >>> run = open_run(Path(tempfile.mkdtemp()) / "run").folder
    >>> get_peft_model(load_policy()[0], LoraConfig(target_modules=["q_proj"])).save_pretrained(run / "adapter")
    >>> export_run(run, run / "exported")
    >>> base, merged = (load_policy(path)[0].state_dict() for path in ("tiny:policy", str(run / "exported" / "merged")))
    >>> all(bool((merged[name] == weight).all()) for name, weight in base.items())  # an adapter that learnt nothing adds nothing
    True
    """
    if not (run / "run.json").exists():
        raise InputError(f"{run} is not a run folder; give one that `medix-lite run` or `train` made")
    if not (run / "adapter" / "adapter_model.safetensors").exists():
        raise InputError(f"{run} has no trained adapter yet; finish its training first")
    refuse_existing(out)
    profile, made_with = load_profile(str(run / "profile.yaml")), read_json(run / "run.json")
    policy = profile.policy
    if policy_revision(policy.path, policy.revision) != made_with["policy"]:
        raise InputError(f"the adapter of {run} was trained on other weights of {policy.path} than are there now; restore them")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    model, processor = load_policy(policy.path, revision=policy.revision, adapter=run / "adapter", dtype=policy.dtype)
    model.merge_and_unload(safe_merge=True).save_pretrained(part / "merged")
    processor.save_pretrained(part / "merged")
    shutil.copytree(run / "adapter", part / "adapter", ignore=shutil.ignore_patterns("training_args.bin", "README.md"))
    config = read_json(part / "adapter" / "adapter_config.json")  # names the base by its place on this machine
    base = {"base_model_name_or_path": policy.path, "revision": policy.revision}
    write_json(part / "adapter" / "adapter_config.json", config | base)
    results = read_json(run / "results.json") if (run / "results.json").exists() else None
    source = made_with["source"].partition(":")[0]  # what follows is a path of this machine
    facts = {"profile": profile, "run": made_with, "source": source, "results": results, "tiny": policy.path.startswith("tiny:")}
    write_text(part / "README.md", render("model.md.j2", **facts))
    part.rename(out)
