"""What an exported model is: the same answers from PEFT and from the merged weights, and a card that tells what was measured."""

import pytest
from test_cli import assert_one_clear_line, medix
from vllm_server import SERVED_NAME, require_vllm, serve

from medix_lite import runs
from medix_lite.evaluation.engines import vllm_engine
from medix_lite.evaluation.generate import generate, generate_batch
from medix_lite.files import REPOSITORY, InputError, write_json
from medix_lite.models.export import export_run
from medix_lite.models.load import load_policy
from medix_lite.profiles import load_profile

SETTINGS = "training.steps=3,training.learning_rate=0.01,data.train=32,data.probe=8,data.test=16"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = runs.open_run(tmp_path_factory.mktemp("run") / "short", settings=SETTINGS)
    runs.train(run)
    return run


def answers(run, model, processor):
    return [copies[0][0] for copies in generate_batch(model, processor, runs.curated(run)["test"], **runs.sampling_of(run.profile))]


@pytest.mark.slow
def test_adapter_and_merged_weights_answer_alike(run, tmp_path):
    out = tmp_path / "exported"
    result = medix("export", str(run.folder), "--out", str(out))
    assert result.returncode == 0, result.stderr
    trained = answers(run, *load_policy(adapter=run.folder / "adapter"))
    assert trained != answers(run, *load_policy()), "three steps at this rate move the policy"
    assert answers(run, *load_policy(adapter=out / "adapter")) == trained
    assert answers(run, *load_policy(str(out / "merged"))) == trained
    files = {path.name for path in out.rglob("*") if path.is_file()}
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in files)
    card = (out / "README.md").read_text()
    assert "not for clinical use" in card
    assert "Not evaluated yet" in card
    written = "".join(path.read_text() for path in [*out.rglob("*.json"), out / "README.md"])
    assert str(REPOSITORY) not in written
    assert str(run.folder) not in written

    value = {"value": 0.5, "ci95": [0.4, 0.6]}
    scores = dict.fromkeys(("true_accuracy", "judged_accuracy"), value) | {"pass_at_8": {"value": None, "ci95": [None, None]}}
    write_json(run.folder / "results.json", {"base": scores, "trained": scores | {"n": 16}, "gain": scores, "seconds": {}})
    export_run(run.folder, tmp_path / "again")
    (run.folder / "results.json").unlink()
    card = (tmp_path / "again" / "README.md").read_text()
    assert "| true accuracy | 0.5 | 0.5 | +0.500 [0.4, 0.6] |" in card
    assert "pass at 8" not in card


def ask_vllm_what_it_does_not_take(path, samples, tmp_path):
    """A question longer than the model's context ends with its error, and the others of its batch are answered."""
    asked = samples[:3]
    asked[1] = asked[1].model_copy(update={"question": "lung " * 5000})
    engine = vllm_engine(path, None, "float32", "cpu", max_new_tokens=8, prompt_style="compact")
    rows = generate(engine, asked, tmp_path / "long.jsonl", model_name="m", revision="r")
    assert [row["finish_reason"] == "error" for row in rows] == [False, True, False]
    assert "Error" in rows[1]["error"]
    assert all(row["response"] for row in (rows[0], rows[2]))


@pytest.mark.slow
def test_merged_weights_answer_alike_in_vllm(run, tmp_path):
    """In this process, and behind a server."""
    require_vllm()
    export_run(run.folder, tmp_path / "exported")
    merged = str(tmp_path / "exported" / "merged")
    ours, samples = answers(run, *load_policy(merged)), runs.curated(run)["test"]
    assert {sample.has_image for sample in samples} == {True, False}
    profile = load_profile(str(run.folder / "profile.yaml"), {"policy.path": merged})

    def said(engine):
        rows = runs.ask_policy(profile, samples, tmp_path / f"{engine[:4]}.jsonl", engine=engine)
        return [row["response"] for row in rows]

    assert said("vllm") == ours
    ask_vllm_what_it_does_not_take(merged, samples, tmp_path)
    with serve(tmp_path / "exported" / "merged", tmp_path / "server.log") as url:
        assert said(f"openai:{SERVED_NAME}@{url}") == ours


@pytest.mark.slow
def test_what_cannot_be_exported_is_named(run, tmp_path):
    assert_one_clear_line(medix("export", str(tmp_path / "nowhere"), "--out", str(tmp_path / "x")), "is not a run folder")
    assert_one_clear_line(medix("export", str(run.folder), "--out", str(tmp_path)), "exists already")
    untrained = runs.open_run(tmp_path / "untrained", settings=SETTINGS)
    with pytest.raises(InputError, match="no trained adapter yet"):
        export_run(untrained.folder, tmp_path / "x")
    record = run.folder / "run.json"
    kept = record.read_text()
    record.write_text(kept.replace('"policy": "', '"policy": "0'))
    with pytest.raises(InputError, match="trained on other weights"):
        export_run(run.folder, tmp_path / "x")
    record.write_text(kept)
    assert not (tmp_path / "x").exists()
