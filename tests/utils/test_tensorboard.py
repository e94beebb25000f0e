"""What SummaryWriter writes, read back by TensorBoard's own reader."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad import nn

pytest.importorskip("tensorboard")
accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

from numgrad.utils.tensorboard import SummaryWriter  # noqa: E402


def read(directory: Path) -> Any:
    """Everything in a run's files."""
    return accumulator.EventAccumulator(str(directory), size_guidance=dict.fromkeys(accumulator.DEFAULT_SIZE_GUIDANCE, 0)).Reload()


def tensor_of(found: Any, tag: str) -> Any:
    from tensorboard.util import tensor_util

    return tensor_util.make_ndarray(found.Tensors(tag)[0].tensor_proto)


def pixels_of(found: Any, tag: str) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(found.Images(tag)[0].encoded_image_string)))


def test_numbers(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        assert writer.get_logdir() == str(tmp_path)
        for step in range(3):
            writer.add_scalar("loss/train", numgrad.tensor([2.0 - step], requires_grad=True), step, walltime=100.0 + step)
        writer.add_scalar("rate", 0.5)
        writer.add_scalar("fine", 1 / 3, numgrad.tensor(7), new_style=True, double_precision=True)
        writer.add_scalars("both/curves", {"a": 1, "b": np.float32(2)}, 5)
        writer.flush()
        assert [e.value for e in read(tmp_path).Scalars("loss/train")] == [2, 1, 0]  # before it is closed
    found = read(tmp_path)
    assert [(e.step, e.wall_time) for e in found.Scalars("loss/train")] == [(0, 100), (1, 101), (2, 102)]
    assert found.Scalars("rate")[0].value == 0.5
    assert tensor_of(found, "fine") == 1 / 3 and found.Tensors("fine")[0].step == 7
    assert read(tmp_path / "both_curves_b").Scalars("both/curves")[0].value == 2
    with pytest.raises(ValueError, match=r"one number.*\(2,\)"):
        writer.add_scalar("loss", numgrad.zeros(2))
    with pytest.raises(TypeError, match="str"):
        writer.add_scalar("loss", "high")
    writer.close()


def test_distributions(tmp_path: Path) -> None:
    values = numgrad.tensor([-2.0, 0.0, 0.5, 0.5, 3.0])
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("weights", values, 3)
        writer.add_histogram("edges", values, bins=[-2, 0, 1, 2, 4])
        writer.add_histogram("fewer", np.arange(100), bins=50, max_bins=10)
        writer.add_histogram_raw("raw", 0, 1, 3, 2, 2, [0.5, 1], [1, 2])
        with pytest.raises(ValueError, match="no values"):
            writer.add_histogram("none", numgrad.zeros(0))
    found = read(tmp_path)
    shown = found.Histograms("weights")[0]
    message = shown.histogram_value
    assert (shown.step, message.min, message.max, message.num, message.sum, message.sum_squares) == (3, -2, 3, 5, 2, 13.5)
    assert sum(message.bucket) == 5 and message.bucket[0] == 0 and message.bucket_limit[0] <= -2
    for edge, count in zip(message.bucket_limit, np.cumsum(message.bucket), strict=True):
        assert count == sum(v <= edge for v in values.tolist()) or edge == 0  # 0 lies on an edge: it counts above
    assert found.Histograms("edges")[0].histogram_value.bucket == [0, 1, 3, 0, 1]
    assert len(found.Histograms("fewer")[0].histogram_value.bucket) == 11
    assert found.Histograms("raw")[0].histogram_value.bucket == [1, 2]


def test_pictures(tmp_path: Path) -> None:
    image = numgrad.rand(3, 4, 5)
    expected = (image.numpy() * 255).astype(np.uint8).transpose(1, 2, 0)
    grey = numgrad.arange(20, dtype=numgrad.uint8).reshape(4, 5)
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("chw", image)
        writer.add_image("hwc", image.permute(1, 2, 0), dataformats="HWC")
        writer.add_image("hw", grey, dataformats="HW")
        writer.add_images("grid", numgrad.stack([image] * 9) / 2)
        with pytest.raises(ValueError, match="dataformats='CHW'"):
            writer.add_image("wrong", numgrad.zeros(4, 5))
        with pytest.raises(ValueError, match="channels"):
            writer.add_image("wrong", numgrad.zeros(2, 4, 5))
    found = read(tmp_path)
    np.testing.assert_array_equal(pixels_of(found, "chw"), expected)
    np.testing.assert_array_equal(pixels_of(found, "hwc"), expected)
    np.testing.assert_array_equal(pixels_of(found, "hw"), grey.numpy()[..., None].repeat(3, -1))
    grid = pixels_of(found, "grid")
    assert grid.shape == (8, 40, 3) and (grid[:4, 35:] == grid[4:, :5]).all() and not grid[4:, 5:].any()
    assert found.Images("grid")[0].width == 40


def test_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot

    figures = [pyplot.figure(figsize=(2, 1), dpi=50) for _ in range(2)]
    with SummaryWriter(tmp_path) as writer:
        writer.add_figure("one", figures[0], close=False)
        writer.add_figure("two", figures)
    assert not pyplot.get_fignums()
    assert pixels_of(read(tmp_path), "one").shape == (50, 100, 3)
    assert pixels_of(read(tmp_path), "two").shape == (50, 200, 3)


def test_text_and_curves(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("notes", "**ä** text", 2)
        writer.add_pr_curve("pr", numgrad.tensor([0, 0, 1, 1]), numgrad.tensor([0.1, 0.6, 0.4, 1.0]), num_thresholds=3)
        with pytest.raises(ValueError, match="0 to 1"):
            writer.add_pr_curve("pr", [1], [1.5])
    found = read(tmp_path)
    assert tensor_of(found, "notes/text_summary").tolist() == ["**ä** text".encode()]
    # Thresholds 0, 1/2, 1: everything is called true, then 0.6 and 1.0, then 1.0 alone.
    expected = [[2, 1, 1], [2, 1, 0], [0, 1, 2], [0, 1, 1], [0.5, 0.5, 1], [1, 0.5, 0.5]]
    np.testing.assert_allclose(tensor_of(found, "pr"), expected)


def test_hyperparameters(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams.metadata import parse_experiment_plugin_data, parse_session_start_info_plugin_data

    with SummaryWriter(tmp_path) as writer:
        given = {"lr": 0.1, "layers": numgrad.tensor(3), "bias": True, "kind": "mlp", "nothing": None}
        writer.add_hparams(given, {"hparam/loss": 0.25}, {"kind": ["mlp", "cnn"]}, run_name="first")
        with pytest.raises(ValueError, match="'lr' is a list"):
            writer.add_hparams({"lr": [1]}, {})
    found = read(tmp_path / "first")
    contents = found.summary_metadata
    start = parse_session_start_info_plugin_data(contents["_hparams_/session_start_info"].plugin_data.content)
    values = {k: getattr(v, v.WhichOneof("kind")) for k, v in start.hparams.items()}
    assert values == {"lr": 0.1, "layers": 3, "bias": True, "kind": "mlp"}
    experiment = parse_experiment_plugin_data(contents["_hparams_/experiment"].plugin_data.content)
    assert [list(i.domain_discrete) for i in experiment.hparam_infos if i.name == "kind"] == [["mlp", "cnn"]]
    assert experiment.metric_infos[0].name.tag == "hparam/loss" and found.Scalars("hparam/loss")[0].value == 0.25


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(10, 4)
        self.layers = nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Dropout())

    def forward(self, x: Any, ids: Any) -> Any:
        return self.layers(x + self.words(ids)).softmax(-1)


def test_graph_of_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, x = Net(), numgrad.ones(2, 4)
    model.words.weight.requires_grad_(False)
    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(model, (x, numgrad.tensor([1, 2])), verbose=True)
    assert model.training and model.layers[2].training and not x.requires_grad
    assert not model.words.weight.requires_grad and not model.layers[0]._forward_hooks
    nodes = {node.name: node for node in read(tmp_path).Graph().node}
    linear, words = "Net/Sequential[layers]/Linear[0]", "Net/Embedding[words]"
    assert nodes[f"{linear}/weight"].op == "Parameter"
    assert [d.size for d in nodes[f"{linear}/weight"].attr["_output_shapes"].list.shape[0].dim] == [3, 4]
    embedded = next(n for n in nodes.values() if n.name.startswith(words) and n.op != "Parameter")
    assert set(embedded.input) == {f"{words}/weight", "input/1"}
    assert set(nodes["Net/Plus"].input) == {"input/0", embedded.name}
    assert nodes["Net/Softmax"].input == ["Net/Sequential[layers]/ReLU[1]/Relu"]
    reached, waiting = set(), ["output/0"]
    while waiting:
        name = waiting.pop().partition(":")[0]
        reached.add(name)
        waiting += nodes[name].input
    assert reached == set(nodes) and f"{linear}/bias" in capsys.readouterr().out


def test_files_and_what_is_lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    writer = SummaryWriter(comment="_first")
    assert writer.log_dir.startswith("runs") and writer.log_dir.endswith("_first")
    writer.add_scalar("a", 1, 0)
    writer.add_scalar("a", 2, 5)
    writer.close()
    time.sleep(1.1)  # files are read in the order of their names, which have the second in them
    with SummaryWriter(writer.log_dir, purge_step=5, filename_suffix=".more") as again:
        again.add_scalar("a", 3, 5)
    assert len(list(Path(writer.log_dir).glob("*.more"))) == 1
    assert [e.value for e in read(tmp_path / writer.log_dir).Scalars("a")] == [1, 3]
    with pytest.raises(NotImplementedError, match="add_images"):
        writer.add_video("v", None)
    with pytest.raises(AttributeError, match="add_nothing"):
        writer.add_nothing()


def test_without_tensorboard_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['tensorboard'] = None\nfrom numgrad.utils.tensorboard import SummaryWriter"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode and "ModuleNotFoundError" in done.stderr and "numgrad[tensorboard]" in done.stderr
