"""Views of finished runs: found and opened, live mAP equal to evaluate, gates and features equal to twins."""

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.made_runs import failed_run, made_run, made_world
from helpers.made_sources import Waves, a_video
from helpers.video_files import read_number, write_video
from losa.annotations.dataset import Annotations, load_annotations
from losa.config import Config
from losa.errors import RunError
from losa.evaluation.average_precision import LENGTHS, evaluate
from losa.evaluation.records import read_ground_truth, read_predictions
from losa.evaluation.targets import truth_of
from losa.evaluation.thresholds import ap_table, counted
from losa.inference.candidates import Raw, load_raw, save_raw
from losa.inference.postprocess import suppress
from losa.inference.predict import video_gates, windows_of
from losa.inspection.model_internals import features_view, gate_profile, gates_view, looked_into
from losa.inspection.run_folder import Run, find_runs, folder_of, open_run
from losa.inspection.timeline import frames, pictures_of, rescore_of, timeline_view, video_table
from losa.model.checkpoint import save_model
from losa.model.losa import build
from losa.taps.open import open_features
from losa.workflows.evaluate_run import test as predict_and_evaluate

TIOU = (0.3, 0.5, 0.7)


# ------------------------------------------------------------------------------------------ average precision
def made_records(seed: int) -> tuple[dict, dict]:
    """Truth with an empty and an ambiguous part, predictions with an unknown label and video; no scores are equal."""
    rng = np.random.default_rng(seed)
    piece = lambda: (lambda s: [s, s + rng.uniform(1, 6)])(rng.uniform(0, 40))  # noqa: E731
    truth = {f"v{i}": [{"segment": piece(), "label": "abc"[rng.integers(3)]} for _ in range(i)] for i in range(6)}
    truth["v5"].append({"segment": piece(), "label": "Ambiguous", "ambiguous": True})
    near = [(v, r) for v, rows in truth.items() for r in rows if not r.get("ambiguous")]
    predictions = {v: [] for v in [*truth, "unknown"]}
    for _ in range(120):
        v, r = near[rng.integers(len(near))]
        label = r["label"] if rng.random() < 0.7 else "abcx"[rng.integers(4)]
        segment = sorted(np.array(r["segment"]) + rng.normal(0, 0.7, 2))
        where = v if rng.random() < 0.9 else "unknown"
        predictions[where].append({"segment": segment, "label": label, "score": rng.random()})
    return truth, predictions


def check_table(truth: dict, predictions: dict, tiou: tuple, protocol: str, step: int) -> None:
    table = ap_table(truth, predictions, tiou, protocol)
    assert table["thresholds"] == [i / 100 for i in range(101)] and json.loads(json.dumps(table)) == table
    for i in range(0, 101, step):
        kept = {v: [r for r in rows if r["score"] >= i / 100] for v, rows in predictions.items()}
        expected = evaluate(truth, kept, tiou, protocol).per_class
        assert table["average"].keys() == expected.keys()
        for label, aps in expected.items():
            assert table["average"][label][i] == pytest.approx(np.mean(aps), abs=1e-12)


@pytest.mark.filterwarnings("ignore:none of the")
@pytest.mark.parametrize("protocol", ["activitynet", "activitynet-dedup", "thumos14"])
def test_the_table_is_what_evaluate_says_at_every_threshold(protocol):
    for seed in range(2):
        check_table(*made_records(seed), TIOU, protocol, step=7)


@pytest.mark.filterwarnings("ignore:none of the")
def test_a_table_without_predictions_or_without_instances():
    truth, _ = made_records(0)
    check_table(truth, {}, TIOU, "activitynet", step=50)
    assert ap_table({"v": []}, {"v": [{"segment": [0, 1], "label": "a", "score": 1}]}, TIOU)["average"] == {}


def test_the_table_of_the_golden_data(shared_data):
    truth = read_ground_truth(shared_data / "golden" / "ground_truth.json", "test")
    predictions = read_predictions(shared_data / "golden" / "predictions.json")
    places = iter(range(10**6))  # equal scores, whose order is not defined, are told apart
    predictions = {v: [r | {"score": r["score"] - 1e-9 * next(places)} for r in rows]
                   for v, rows in predictions.items()}
    average = ap_table(truth, predictions, TIOU)["average"]
    kept = {v: [r for r in rows if r["score"] >= 0.3] for v, rows in predictions.items()}
    for at, records in {0: predictions, 30: kept}.items():
        found = evaluate(truth, records, TIOU)
        assert np.mean([column[at] for column in average.values()]) == pytest.approx(found.average_map, abs=1e-9)


# ------------------------------------------------------------------------------------------ runs on disk
def test_only_finished_runs_are_found_and_opened(tmp_path, monkeypatch):
    annotations = made_world(tmp_path / "world", 0)
    made_run(tmp_path / "runs" / "deep" / "good", annotations, 0.3)
    failed_run(tmp_path / "runs" / "failed", annotations)
    made_run(tmp_path / "runs" / "cut", annotations, 0.3)
    (tmp_path / "runs" / "cut" / "result.json").unlink()
    made_run(tmp_path / "runs" / "crashed", annotations, 0.3)
    (tmp_path / "runs" / "crashed" / "status.json").write_text('{"status": "error"}')
    found = find_runs(tmp_path / "runs")
    assert found == {"deep/good": tmp_path / "runs" / "deep" / "good"}
    assert list(find_runs(found["deep/good"])) == ["good"]
    run = open_run(found["deep/good"], "mine")
    assert (run.name, run.classes, len(run.videos)) == ("mine", ("jump", "kick"), 8)
    assert np.mean([column[0] for column in run.table["average"].values()]) == pytest.approx(run.result["average_map"])
    for path, why in {"nowhere": "no run at", "cut": "result.json is not there", "crashed": "'error'"}.items():
        with pytest.raises(RunError, match=why):
            open_run(tmp_path / "runs" / path)
    with pytest.raises(RunError, match="make demo"):
        find_runs(tmp_path / "nowhere")
    with pytest.raises(RunError, match="'test_9'; choose one of 8: test_0"):
        run.video("test_9")
    annotations.rename(tmp_path / "elsewhere.json")
    with pytest.raises(RunError, match="annotations.json, which are not there"):
        open_run(found["deep/good"])


def test_paths_of_a_config_are_looked_for_above_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made_world(Path("project/runs/world"), 0)
    monkeypatch.chdir("project")
    made_run(Path("runs/a"), Path("runs/world/annotations.json"), 0.3)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    run = open_run("../project/runs/a")
    assert Path(run.config.annotations).is_absolute() and len(run.truth) == 8


def test_a_run_says_what_is_wrong_with_its_files_and_little_else(tmp_path):
    annotations = made_world(tmp_path / "world", 0)
    made_run(tmp_path / "a", annotations, 0.3)
    run = open_run(tmp_path / "a")
    assert len(repr(run)) < 300 and "name='a'" in repr(run)
    (tmp_path / "a" / "raw_predictions.npz").write_bytes(b"PK cut short")
    with pytest.raises(RunError, match="raw_predictions.npz is damaged.*losa test"):
        timeline_view({"a": run}, "test_0")
    run = open_run(tmp_path / "a")
    run.predictions["test_0"] = []
    with pytest.warns(UserWarning, match="a: average mAP is .*result.json says"):
        assert run.table["average"]


@pytest.mark.filterwarnings("ignore:a. average mAP")
def test_what_does_not_count_is_no_truth_of_a_timeline(tmp_path):
    """An ambiguous instance and one that is there twice come after those that count, where the diagnosis has them."""
    annotations, truth = made_world(tmp_path / "world", 0), {"database": {}}
    rows = [["jump", 5.0, 7.0], ["jump", 5.0, 7.0005], ["kick", 20.0, 25.0]]
    for i in range(8):
        truth["database"][f"test_{i}"] = {"subset": "test", "duration": 40.0, "annotations": [
            {"label": label, "segment": segment} for label, *segment in rows]}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    made_run(tmp_path / "a", annotations, 0.3, protocol="activitynet-dedup", ground_truth=str(tmp_path / "truth.json"))
    run = open_run(tmp_path / "a")
    assert [r["segment"] for r in run.truth["test_1"]] == [[5, 7], [20, 25], [5, 7.0005]]
    view = timeline_view({"a": run}, "test_1")
    assert [r["segment"] for r in view["tracks"]["ground truth"]] == [[5, 7], [20, 25]]
    vague = {"label": "Ambiguous", "segment": [0.0, 4.0], "ambiguous": True}
    assert counted([vague, *run.truth["test_1"]], "activitynet") == run.truth["test_1"]
    run.truth["test_1"].append(vague)
    assert len(timeline_view({"a": run}, "test_1")["tracks"]["ground truth"]) == 2
    forgiving = replace(run, config=run.config.replace(protocol="thumos14"))
    assert timeline_view({"a": forgiving}, "test_1", live=False)["tracks"]["ground truth"][-1] == vague | {"score": 1.0}
    table = video_table(run)
    assert (table.num_truth == 2).all()


def test_a_timeline_of_runs_without_videos_or_candidates(tmp_path):
    annotations = made_world(tmp_path / "world", 0)
    runs = {}
    for name, noise in {"near": 0.1, "far": 3.0}.items():
        made_run(tmp_path / name, annotations, noise)
        runs[name] = open_run(tmp_path / name)
    view = timeline_view(runs, "test_1")
    assert list(view["tracks"]) == ["ground truth", "near", "far"] and len(view["tracks"]["near"]) == 6
    assert view["video"] is view["rescore"] is view["frames"] is None
    assert (view["duration"], view["fps"], view["classes"]) == (40.0, 12.0, ["jump", "kick"])
    for name, run in runs.items():
        one = {"test_1": run.truth["test_1"]}, {"test_1": run.predictions["test_1"]}
        assert view["ap"][name] == {"video": ap_table(*one, run.config.tiou), "data": run.table}
    table = video_table(runs["far"], min_score=0.4).set_index("video")
    assert len(table) == 8 and (table.num_truth == 2).all() and table.duration.unique() == [40.0]
    for video, row in table.iterrows():
        one = {video: runs["far"].truth[video]}, {video: runs["far"].predictions[video]}
        assert row.average_map == pytest.approx(evaluate(*one, tuple(runs["far"].config.tiou)).average_map)
        shown = [r for r in one[1][video] if r["score"] >= 0.4]
        assert row["true positive"] + row.wrong == len(shown) and row["true positive"] + row.missed == 2
        assert row.wrong == row["double detection":"background"].sum()


# ------------------------------------------------------------------------------------------ a real run, untrained
@pytest.fixture(scope="module")
def untrained(tiny) -> Run:
    """A finished run of the tiny world whose model has learnt nothing."""
    config = Config.make(annotations=str(tiny / "world" / "annotations.json"), cache=str(tiny / "taps"), head_dim=16,
                         head_levels=2, adapter_dim=8, window=32, gate="sigmoid", max_segments=200, nms_sigma=0.6)
    labelled, out = load_annotations(config.annotations), tiny / "untrained"
    source = open_features(config, labelled.subset("test"), quiet=True)
    recipe = source.recipe.describe()
    torch.manual_seed(0)
    model = build(config, dim=recipe["dim"], num_taps=len(recipe["layers"]), num_classes=len(labelled.classes),
                  clip_snippets=recipe["clip_length"] // recipe["tubelet"])
    model.tap_mean.normal_()
    model.last_std.uniform_(0.5, 2.0)
    save_model(model, out / "model.safetensors", config, labelled.classes, recipe)
    (out / "config.json").write_text(json.dumps(config.to_dict()))
    result = predict_and_evaluate(out, "test", quiet=True)
    (out / "result.json").write_text(json.dumps(result))
    return open_run(out)


def test_rescoring_is_what_the_run_does_with_another_sigma(untrained):
    video_id = list(untrained.videos)[1]
    view = timeline_view({"a": untrained}, video_id)
    again = view["rescore"]["a"](0.6, video_id)
    assert again["records"] == view["tracks"]["a"] and again["table"] == view["ap"]["a"]["video"]
    assert view["sigma"] == 0.6 and Path(view["video"]).is_file() and view["fps"] == 12
    raw, classes = load_raw(untrained.path / "raw_predictions.npz")
    expected = suppress(raw, untrained.config.replace(nms_sigma=0.2), classes)
    assert view["rescore"]["a"](0.2, video_id)["records"] == expected[video_id] != again["records"]
    seen = []
    whole = view["rescore"]["a"](0.2, None, progress=lambda *counts: seen.append(counts))
    assert whole["table"] == ap_table(untrained.truth, expected, untrained.config.tiou)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert timeline_view({"a": untrained}, video_id, live=False)["rescore"] is None
    pictures = [Image.open(io.BytesIO(data)) for data in view["frames"]([0.0, 3.0])]
    assert [picture.height for picture in pictures] == [96, 96]


def test_rescoring_gives_a_classifiers_classes(tmp_path):
    annotations, scores = made_world(tmp_path / "world", 0), tmp_path / "scores.json"
    scores.write_text(json.dumps({f"test_{i}": {"jump": 0.9 - i / 10, "kick": 0.5} for i in range(8)}))
    made_run(tmp_path / "run", annotations, 0.3, class_agnostic=True, classifier=str(scores))
    raw = {f"test_{i}": Raw(20 * torch.rand(9, 2).cumsum(1), torch.rand(9), torch.zeros(9).long()) for i in range(8)}
    save_raw(tmp_path / "run" / "raw_predictions.npz", raw, ("action",))
    run = open_run(tmp_path / "run")
    expected = suppress(run.raw[0], run.config.replace(nms_sigma=0.3), ("action",), run.labelled.classes)
    for video_id in ("test_0", "test_7"):
        assert rescore_of(run)(0.3, video_id)["records"] == expected[video_id]
    assert rescore_of(run)(0.3)["table"] == ap_table(run.truth, expected, run.config.tiou)


def test_the_model_is_looked_into_as_it_predicts(untrained):
    video = untrained.video(list(untrained.videos)[0])
    found = list(looked_into(untrained, video))
    windows = list(windows_of(untrained.source(video), video, untrained.config))
    assert len(found) == len(windows) > 2
    for window, seen in zip(windows, found, strict=True):
        taps, last = (x[None] for x in window.features)
        with torch.no_grad():
            fused, gates = untrained.model.features(taps, last, torch.ones(1, last.shape[2], dtype=torch.bool))
        at = window.start + np.arange(last.shape[2])
        mine = (at >= window.first) & (at < window.last)
        np.testing.assert_allclose(seen["times"], window.grid.to_seconds(at[mine].astype(float)))
        np.testing.assert_allclose(seen["fused"], fused[0][..., mine], atol=1e-4)
        np.testing.assert_allclose(seen["gates"], gates[0][..., mine], atol=1e-5)
    times = gates_view(untrained, video.id)["times"]
    assert len(times) == untrained.source(video).num_snippets(video)
    np.testing.assert_allclose(np.diff(times), times[1] - times[0])


# ------------------------------------------------------------------------------------------ inside made models
class Tapped(Waves):
    """Waves that say which blocks they are of."""

    recipe = SimpleNamespace(clip_length=8, tubelet=2, layers=(3, 7))


class Untapped(Waves):
    """The last layer alone."""

    recipe = SimpleNamespace(clip_length=8, tubelet=2, layers=())

    def features(self, fetched):
        taps, last = super().features(fetched)
        return taps[:0], last


class Twice(torch.nn.Module):
    """An adapter that gives its tap's mean over space times a number."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, tap, last, mask):
        return self.factor * tap.mean((3, 4))


def inside(gate: str, adapters: bool = True) -> Run:
    """A run in memory on 390 snippets of 0.25 s, 2 taps, whose adapters double or halve."""
    config = Config.make(gate=gate, head_dim=16, head_levels=2, window=600, mode="losa" if adapters else "head_only")
    model = build(config, dim=8, num_taps=2 if adapters else 0, num_classes=3, clip_snippets=8).eval()
    for row in model.adapters:
        row[0], row[1] = Twice(2.0), Twice(-0.5)
    if hasattr(model.fusion, "gate"):
        torch.nn.init.normal_(model.fusion.gate)
    video, classes = a_video(segments=((4.0, 9.0), (30.0, 31.0))), ("x", "y", "z")
    run = Run("made", Path("none"), config, Annotations(classes, (video,)), classes, {"a": video},
              truth_of([video], classes), {}, {})
    run.__dict__.update(model=model, _source=Tapped(390) if adapters else Untapped(390))
    return run


@pytest.mark.parametrize("gate", ["tanh", "channel", "sigmoid", "none", "concat"])
def test_gates_and_sizes_of_what_adapters_add(gate):
    run = inside(gate)
    view, video = gates_view(run, "a", {"made": 1}), run.videos["a"]
    tapped, last = Tapped(390).features({"at": torch.arange(390.0)})
    tap = tapped[0].mean((2, 3))
    ratio = (tap.norm(dim=0) / last.norm(dim=0)).nan_to_num().numpy()
    sizes = np.broadcast_to(np.array([2, 0.5])[:, None] * ratio, (2, 2, 390))
    np.testing.assert_allclose(view["norms"], sizes, rtol=1e-4)
    expected = video_gates(run.model, Tapped(390), video)
    assert (view["gates"] is None) == (expected is None) == (gate == "concat")
    if expected is not None:
        np.testing.assert_allclose(view["gates"], expected, atol=1e-6)
    assert view["static"] == (gate in ("tanh", "channel", "none")) and view["profile"] == {"made": 1}
    assert (view["layers"], view["ranges"]) == ([3, 7], ["short", "long"]) and view["times"][4] == 1.0625


def test_a_model_without_adapters_has_no_gates():
    run = inside("tanh", adapters=False)
    view = gates_view(run, "a")
    assert view["gates"] is None and view["norms"].shape == (0, 2, 390) and gate_profile(run) is None
    assert len(features_view(run, "a", 10)["taps"]) == 2


def test_the_profile_is_the_mean_over_snippets_inside_instances():
    run = inside("sigmoid")
    view, profile = gates_view(run, "a"), gate_profile(run)
    added, times = np.abs(view["gates"]) * view["norms"], view["times"]
    parts = {("by_class", 0): (4, 9), ("by_class", 1): (30, 31), ("by_length", 2): (4, 9), ("by_length", 0): (30, 31)}
    for (name, row), (start, end) in parts.items():
        mine = [i for i, t in enumerate(times) if start <= t < end]
        np.testing.assert_allclose(profile[name]["gate"][row], view["gates"][..., mine].mean(-1), rtol=1e-5)
        np.testing.assert_allclose(profile[name]["contribution"][row], added[..., mine].mean(-1), rtol=1e-5)
        assert profile["snippets"][name][row] == len(mine)
    others = [i for i, t in enumerate(times) if not (4 <= t < 9 or 30 <= t < 31)]
    np.testing.assert_allclose(profile["background"]["contribution"], added[..., others].mean(-1), rtol=1e-5)
    assert profile["by_class"]["gate"][2] is profile["by_length"]["gate"][4] is None
    assert profile["lengths"] == list(LENGTHS) and json.loads(json.dumps(profile)) == profile


def test_features_are_compared_as_the_model_sees_them():
    run = inside("tanh")
    run.model.tap_mean.normal_()
    run.model.tap_std.uniform_(0.5, 2)
    view = features_view(run, "a", 50)
    assert [tap["name"] for tap in view["taps"]] == ["block 3", "block 7", "last layer", "fused"]
    chosen = np.linspace(0, 389, 50).round().astype(int)
    np.testing.assert_allclose(view["times"], (chosen * 2 + 0.5) / 8)
    tapped, _ = Tapped(390).features({"at": torch.arange(390.0)})
    x = ((tapped[1].mean((2, 3)) - run.model.tap_mean[1][:, None]) / run.model.tap_std[1][:, None])[:, chosen].T
    cosine = torch.cosine_similarity(x[:, None], x[None], dim=2)
    np.testing.assert_allclose(view["taps"][1]["similarity"], 0.5 + 0.5 * cosine, atol=1e-5)
    shares = np.sort(np.linalg.eigvalsh(np.cov(x.numpy().T)))[::-1]
    np.testing.assert_allclose(view["taps"][1]["explained"], (shares / shares.sum())[:2], rtol=1e-4)
    np.testing.assert_allclose(np.cov(view["taps"][1]["xy"].T), np.diag(shares[:2]), atol=1e-4)
    assert view["labels"] == ["x" if 4 <= t < 9 else "y" if 30 <= t < 31 else "" for t in view["times"]]


def test_frames_are_those_shown_at_the_times(tmp_path):
    path = write_video(tmp_path / "numbers.mp4", num_frames=50, fps=25)
    pictures = frames(path, [0.0, 0.5, 0.5199, 1.23, 99.0], height=48)
    found = [np.array(Image.open(io.BytesIO(data))) for data in pictures]
    assert [read_number(picture) for picture in found] == [0, 12, 12, 30, 49] and found[0].shape[0] == 48


def test_a_damaged_file_gives_no_pictures(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert pictures_of(replace(a_video(), path=tmp_path / "broken.mp4"))([0.0]) == []


def test_a_relative_folder_is_found_from_below(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert folder_of("runs") == tmp_path / "runs" and find_runs("runs") == {}
    with pytest.raises(RunError, match="no folder .* and above"):
        folder_of("no such folder anywhere")
