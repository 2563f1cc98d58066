"""The four signals and their total: bad and good responses, the published formula, failures."""

import importlib.util
import itertools
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from medix_lite.curation.curate import curate
from medix_lite.files import DATA, REPOSITORY, InputError, read_table
from medix_lite.judging.judges import Judge, Voter, make_judge
from medix_lite.judging.servers import Reply
from medix_lite.judging.templates import Template
from medix_lite.modalities import MODALITIES
from medix_lite.models.load import load_embedder
from medix_lite.profiles import load_profile
from medix_lite.responses import parse_response
from medix_lite.rewards.composite import (
    PATIENCE,
    CompositeReward,
    completion_text,
    composite_total,
    is_zeroed,
    score_responses,
)
from medix_lite.rewards.easyr1 import compute_score, export_easyr1
from medix_lite.rewards.presets import PRESETS, find_preset
from medix_lite.rewards.signals import contradicts, format_signal, modality_signal, semantic_signal
from medix_lite.samples import Sample, open_image, read_samples

PICTURE = Sample(id="p", question="What does this show?", reference="pneumonia", modality="X_RAY", images=["p.png"])
TEXT = Sample(id="t", question="Which organ?", reference="lung")
GOOD = "<X_RAY> <think>White base.</think> <answer>pneumonia</answer>"
RULES = make_judge("rules")


@pytest.fixture(scope="module")
def embedder() -> Any:
    """A real `SentenceTransformer` of random word vectors: equal words are near, others are not."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers
    from torch import manual_seed

    words = ["[UNK]", "no", "left", "right", "pneumonia", "effusion", "lung", "infection", "of", "the", "normal"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    manual_seed(0)
    return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=64)], device="cpu")


def test_format_and_modality() -> None:
    good = parse_response(GOOD)
    assert (format_signal(good), modality_signal(PICTURE, good)) == (1, 1)
    other = parse_response(GOOD.replace("X_RAY", "CT_SCAN"))
    assert (format_signal(other), modality_signal(PICTURE, other)) == (1, 0)
    bare = parse_response("pneumonia")
    assert (format_signal(bare), modality_signal(PICTURE, bare)) == (0, 0)
    assert modality_signal(TEXT, parse_response("<answer>lung</answer>", has_image=False)) is None


@pytest.mark.parametrize(("answer", "reference", "unsafe"), [
    ("no pneumonia", "pneumonia", True), ("pneumonia", "no pneumonia", True), ("left lung", "right lung", True),
    ("50 mm", "5 mm", True),
    ("5 mg", "5 mm", True), ("both lungs", "left lung", True), ("abnormal", "normal", True), ("three nodules",
    "2 nodules", True),
    ("no abnormality", "normal", False), ("5 cm", "50 mm", False), ("lung", "left lung", False), ("two nodules",
    "2 nodules", False),
    ("without effusion", "no effusion", False),
])  # fmt: skip
def test_vetoes(answer: str, reference: str, unsafe: bool) -> None:
    assert contradicts(answer, reference) is unsafe


def test_semantic_signal(embedder: Any) -> None:
    left, right = "infection of the left lung", "infection of the right lung"
    answers = ["pneumonia", "effusion", left, right, "", None, "\ud800", "pneumonia"]
    references = [["pneumonia"], ["pneumonia"], [left], [left], *[["pneumonia"]] * 3, ["effusion", "pneumonia"]]
    assert semantic_signal(answers, references, PRESETS["robust"], embedder) == [1, 0, 1, 0, 0, 0, 0, 1]
    assert semantic_signal(answers, references, "faithful", embedder) == [1, 0, 1, 1, 0, 0, 0, 1]
    assert semantic_signal([], [], "robust", embedder) == []


def test_references_are_embedded_once(embedder: Any) -> None:
    cache: dict[str, Any] = {}
    semantic_signal(["pneumonia"], [["effusion"]], "robust", embedder, cache)
    kept = cache["effusion"]
    semantic_signal(["pneumonia"], [["effusion"]], "robust", embedder, cache)
    assert cache == {"effusion": kept}
    assert cache["effusion"] is kept


def test_total_is_the_published_formula_on_a_grid() -> None:
    for accuracy, semantic, modality, form in itertools.product((0, 1), (0, 1), (0, 1), (0, 1)):
        signals = {"accuracy": accuracy, "semantic": semantic, "modality": modality, "format": form}
        published = 0.9 * (0.575 * accuracy + 0.375 * semantic + 0.05 * modality) + 0.1 * form
        for preset in PRESETS:
            assert composite_total(signals, preset) == pytest.approx(published)


def test_left_out_and_failed_signals() -> None:
    whole: dict[str, float | None] = {"accuracy": 1, "semantic": 1, "format": 1, "modality": 1}
    assert composite_total(whole | {"modality": None}, "robust") == 1
    assert composite_total(whole | {"modality": None, "format": 0}, "robust") == pytest.approx(0.855 / 0.955)
    for failed in ("accuracy", "semantic", "format"):
        assert composite_total(whole | {failed: None}, "robust") is None
    with pytest.raises(InputError, match="use one of robust, faithful"):
        find_preset("best")


@pytest.mark.parametrize("answer", [None, "", "B", "T4:N1", "1:1000", "a __ b", "flu?"])
def test_zero_rule_is_only_faithful(embedder: Any, answer: str | None) -> None:
    sample = Sample(id="t", question="q", reference=answer or "lung")
    text = f"<think>Yes.</think> <answer>{answer}</answer>" if answer is not None else "<think>Yes.</think>"
    (faithful,), (verdict,) = score_responses([sample], [text], RULES, embedder, "faithful")
    assert is_zeroed(answer)
    assert (faithful.signals["accuracy"], faithful.signals["semantic"], verdict.verdict) == (0, 0, "NO")
    assert "zero rule" in faithful.problems
    (robust,), _ = score_responses([sample], [text], RULES, embedder)
    assert robust.signals["accuracy"] == float(bool(answer))


def test_four_hand_written_completions(embedder: Any) -> None:
    wrong = GOOD.replace("pneumonia", "pleural effusion")
    sloppy = "The picture shows <answer>pneumonia</answer>"
    texts = [GOOD, wrong, sloppy, ""]
    rewards, verdicts = score_responses([PICTURE] * 4, texts, RULES, embedder, sample_indices=range(4))
    assert [reward.total for reward in rewards] == pytest.approx([1, 0.145, 0.855, 0])
    assert [r.sample_index for r in rewards] == [v.sample_index for v in verdicts] == [0, 1, 2, 3]
    fields = {"id", "sample_index", "signals", "total", "preset", "problems"}
    assert set(json.loads(rewards[0].model_dump_json())) == fields


def test_faithful_asks_the_model_where_robust_has_a_tier(embedder: Any) -> None:
    asked = []

    def ask(prompts: list[str], template: Template) -> list[Reply]:
        asked.extend(prompts)
        return [Reply("NO")] * len(prompts)

    sample = Sample(id="t", question="How wide?", reference="5 mm")
    judge = Judge("local", (Voter(ask),), judge_id="local@1")
    texts = [f"<think>So.</think> <answer>{answer}</answer>" for answer in ("5 mm", "0.5 cm")]
    _, robust = score_responses([sample] * 2, texts, judge, embedder, "robust")
    assert [v.decided_by for v in robust] == ["exact", "number"]
    assert not asked
    _, faithful = score_responses([sample] * 2, texts, judge, embedder, "faithful")
    assert [v.decided_by for v in faithful] == ["exact", "model"]
    assert {v.judge_id for v in faithful} == {"local@1"}
    assert len(asked) == 1


def test_failed_judge_makes_the_total_none_and_trl_is_told(embedder: Any) -> None:
    logged: dict[str, float] = {}
    reward = CompositeReward({"p": PICTURE, "t": TEXT}, RULES, embedder, "robust")
    unclear = "<think>So.</think> <answer>some airy organ</answer>"
    clear = [{"role": "assistant", "content": unclear.replace("some airy organ", "lung")}]
    completions = [[{"role": "assistant", "content": GOOD}], unclear, clear]
    extra: dict[str, Any] = {"log_metric": logged.__setitem__, "trainer_state": None, "image": [1, 2, 3]}
    totals = reward(prompts=["", "", ""], completions=completions, id=["p", "t", "t"], **extra)
    assert totals == [1, None, 1]
    assert reward.__name__ == "composite"
    assert logged["signal/unscored"] == pytest.approx(1 / 3)
    assert logged["signal/accuracy"] == 1
    assert logged["signal/modality"] == 1
    with pytest.raises(InputError, match="'x'"):
        reward(prompts=[""], completions=[GOOD], id=["x"])
    assert completion_text([{"role": "assistant", "content": [{"type": "text", "text": "a"}]}]) == "a"
    assert completion_text([]) == ""


def test_a_server_judges_while_the_trainer_works_and_a_dead_one_stops_the_run(embedder: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(prompts: list[str], template: Template) -> list[Reply]:
        begun.set()
        assert go_on.wait(10)
        return [Reply("YES")] * len(prompts)

    reward = CompositeReward({"t": TEXT}, Judge("served", (Voter(slow, served=True),)), embedder)
    assert reward.overlaps
    text = "<think>So.</think> <answer>some airy organ</answer>"
    reward.start(["t"], [text])
    assert begun.wait(10), "the judge is asked before the trainer asks for rewards"
    go_on.set()
    assert reward(prompts=[""], completions=[text], id=["t"])[0] is not None
    assert not CompositeReward({"t": TEXT}, RULES, embedder).overlaps

    dead = Judge("dead", (Voter(lambda prompts, template: [Reply(None, error="down")] * len(prompts)),))
    reward = CompositeReward({"t": TEXT}, dead, embedder)
    texts = [f"<think>So.</think> <answer>airy organ {i}</answer>" for i in range(PATIENCE - 1)]
    assert set(reward(prompts=[""] * len(texts), completions=texts, id=["t"] * len(texts))) == {None}
    with pytest.raises(InputError, match=r"judge dead failed on the last 16 answers \(down\); mend it"):
        reward(prompts=[""], completions=[text], id=["t"])


def test_aliases_of_modalities_count_only_where_asked_for(embedder: Any) -> None:
    text = GOOD.replace("<X_RAY>", "<CXR>")
    strict, lenient = (score_responses([PICTURE], [text], RULES, embedder, aliases=aliases)[0][0] for aliases in (False, True))
    assert (strict.signals["modality"], lenient.signals["modality"]) == (0, 1)
    assert strict.signals["format"] == lenient.signals["format"] == 0
    assert set(read_table("modality_aliases").values()) <= set(MODALITIES)
    assert not set(read_table("modality_aliases")) & set(MODALITIES)


def test_easyr1_loads_the_reward_by_its_path() -> None:
    path = REPOSITORY / "medix_lite" / "rewards" / "easyr1.py"
    specification = importlib.util.spec_from_file_location("custom_reward_fn", path)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert (module.REWARD_TYPE, module.REWARD_NAME) == ("batch", "medix_lite")
    batch = [{"response": GOOD, "response_length": 9, "ground_truth": PICTURE.model_dump_json()}]
    scores = module.compute_score(batch, judge="rules")
    assert scores == [{"overall": 1.0, "accuracy": 1.0, "semantic": 1.0, "format": 1.0, "modality": 1.0}]
    batch[0]["response"] = GOOD.replace("pneumonia", "some airy thing")
    with pytest.raises(InputError, match="cannot be scored"):
        module.compute_score(batch, judge="rules")


# The names of EasyR1's settings (verl/trainer/config.py and verl/workers/*/config.py) that we write.
EASYR1 = {
    "data": "train_files val_files prompt_key answer_key image_key max_prompt_length max_response_length rollout_batch_size "
    "max_pixels min_pixels",
    "algorithm": "adv_estimator disable_kl use_kl_loss kl_penalty kl_coef online_filtering filter_key",
    "actor": "global_batch_size clip_ratio_low clip_ratio_high clip_ratio_dual loss_avg_mode loss_type model optim",
    "rollout": "n temperature",
    "reward": "reward_type reward_function reward_function_kwargs",
}


@pytest.mark.parametrize("algorithm", ["medix-grpo", "medix-dapo", "medix-gspo"])
def test_easyr1_gets_data_and_settings_that_its_reward_reads(algorithm: str, tmp_path: Path) -> None:
    curate("phantoms", tmp_path / "curated", sizes={"train": 20, "probe": 2, "test": 8}, seed=0, image_size=64)
    profile = load_profile("qwen3-vl-30b", {"training.algorithm": algorithm, "judge": "rules", "embedder.path": "tiny:embedder"})
    rows = export_easyr1(tmp_path / "curated", profile, tmp_path / "easyr1")
    train = load_dataset(
        "parquet", data_files=str(tmp_path / "easyr1" / "train.parquet"), split="train", cache_dir=str(tmp_path / "c")
    )
    samples = [s for s in read_samples(tmp_path / "curated" / "samples_train.jsonl") if s.has_image]
    assert len(train) == rows["train"] == len(samples)
    assert train[0]["problem"].startswith("<image>")
    assert train[0]["images"][0].tobytes() == open_image(samples[0].images[0], None).tobytes()
    assert "facts" not in json.loads(train[0]["answer"])
    config = yaml.safe_load((tmp_path / "easyr1" / "config.yaml").read_text())
    worker = config["worker"]
    for part, names in EASYR1.items():
        assert set(config.get(part) or worker[part]) <= set(names.split()), part
    assert (config["data"]["rollout_batch_size"], worker["actor"]["global_batch_size"], worker["rollout"]["n"]) == (512, 128, 5)
    assert (worker["actor"].get("loss_type") == "gspo") == (algorithm == "medix-gspo")
    t, actor = profile.training, worker["actor"]
    assert [actor["optim"]["lr"], actor["optim"]["weight_decay"]] == [t.learning_rate, t.weight_decay]
    clips = [actor["clip_ratio_low"], actor["clip_ratio_high"], actor.get("clip_ratio_dual")]
    assert clips == [t.epsilon_low, t.epsilon_high, t.delta]
    assert (config["algorithm"]["kl_coef"], config["data"]["max_response_length"]) == (t.beta, profile.max_new_tokens)
    assert config["algorithm"].get("online_filtering", False) == (algorithm == "medix-dapo")
    path, function = worker["reward"]["reward_function"].rsplit(":", 1)
    assert (Path(path).name, function) == ("easyr1.py", "compute_score")
    right = f"<{samples[0].modality}> <think>x</think> <answer>{samples[0].reference}</answer>"
    batch = [{"response": right, "ground_truth": train[0]["answer"]}]
    assert compute_score(batch, **worker["reward"]["reward_function_kwargs"])[0]["accuracy"] == 1
    with pytest.raises(InputError, match="exists already"):
        export_easyr1(tmp_path / "curated", profile, tmp_path / "easyr1")


def test_reward_never_reads_the_facts(embedder: Any) -> None:
    texts = [GOOD, GOOD.replace("pneumonia", "effusion")]
    with_facts = PICTURE.model_copy(update={"facts": {"finding": "glioma", "truth": "effusion"}})
    without = score_responses([PICTURE] * 2, texts, RULES, embedder)
    assert without == score_responses([with_facts] * 2, texts, RULES, embedder)


@pytest.mark.slow
def test_robust_threshold_is_calibrated_and_keeps_what_is_safe() -> None:
    script = REPOSITORY / "tests" / "benchmarks" / "minimal_pairs.py"
    done = subprocess.run([sys.executable, str(script), "--calibrate"], capture_output=True, text=True, check=True)
    unsafe, synonyms = map(float, done.stdout.splitlines()[-1].split())
    assert unsafe >= 0.99, done.stdout
    assert synonyms >= 0.90, done.stdout
    assert f"robust has {PRESETS['robust'].threshold}; {PRESETS['robust'].threshold:.2f} would be calibrated now" in done.stdout
    assert (PRESETS["faithful"].threshold, PRESETS["faithful"].vetoes) == (0.8, False)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=80), min_size=1, max_size=4))
def test_totals_stay_in_range_for_any_text(embedder: Any, texts: list[str]) -> None:
    wrapped = [*texts, *(f"<think>a</think><answer>{text}</answer>" for text in texts)]
    for preset in PRESETS:
        rewards, _ = score_responses([PICTURE] * len(wrapped), wrapped, RULES, embedder, preset)
        assert all(reward.total is None or 0 <= reward.total <= 1 for reward in rewards)


@pytest.mark.skipif(not (DATA / "models" / "embedder").exists(), reason="the tiny embedder is not built")
def test_tiny_embedder_knows_synonyms() -> None:
    embedder = load_embedder()
    answers = ["infected air sacs of the lung", "glioma", "no pneumonia", "on the right"]
    assert semantic_signal(answers, [*[["pneumonia"]] * 3, ["left"]], "robust", embedder) == [1, 0, 0, 0]
