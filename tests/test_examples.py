"""Every example runs, with small settings, and reaches what it should."""

import os
import pickle
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name, *arguments, cwd):
    """What an example prints; its failure is this test's."""
    path = os.pathsep.join([str(EXAMPLES.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=cwd, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_digits_cnn_learns(tmp_path):
    """Four of its fifteen epochs; the full run ends above 98 %."""
    out = run("digits_cnn.py", "--quiet", "--epochs", "4", cwd=tmp_path)
    accuracy = float(re.search(r"test accuracy ([\d.]+)%  precision", out)[1])
    assert accuracy > 95 and "recall" in out and "f1" in out


def test_digits_cnn_plots_and_shows_progress(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("tqdm")
    run("digits_cnn.py", "--epochs", "1", "--plot", "curves.png", cwd=tmp_path)
    assert (tmp_path / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def write_mnist(folder):
    """Squares in one of ten places, in MNIST's format."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 2000), ("t10k", 200)):
        labels = rng.integers(0, 10, count).astype(np.uint8)
        images = rng.integers(0, 60, (count, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            row, column = divmod(int(label), 5)
            image[4 + 12 * row : 12 + 12 * row, 1 + 5 * column : 6 + 5 * column] += 180
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, count, 28, 28) + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, count) + labels.tobytes())


def test_digits_cnn_and_the_multilayer_perceptron_read_mnist_files(tmp_path):
    write_mnist(tmp_path)
    out = run("digits_cnn.py", "--quiet", "--dataset", "mnist", "--data", str(tmp_path), "--epochs", "1", cwd=tmp_path)
    assert float(re.search(r"test accuracy ([\d.]+)%  precision", out)[1]) > 90
    out = run("seed_000_mlp.py", "--data", str(tmp_path), "--epochs", "2", cwd=tmp_path)
    assert float(re.findall(r"([\d.]+) %", out)[-1]) > 90


def test_multilayer_perceptron_on_digits(tmp_path):
    out = run("seed_000_mlp.py", "--epochs", "6", cwd=tmp_path)
    assert float(re.findall(r"([\d.]+) %", out)[-1]) > 93


def test_a_compiled_gpt_learns_to_write(tmp_path):
    (tmp_path / "tinyshakespeare.txt").write_text("to be, or not to be, that is the question: " * 200)
    out = run("char_gpt.py", "--data", str(tmp_path), "--steps", "60", "--batch-size", "4", "--context", "16", "--write", "20", cwd=tmp_path)
    assert float(re.findall(r"validation loss ([\d.]+)", out)[-1]) < 1.5  # 2.7 if it only knew how often each letter comes


def test_a_policy_learns_to_balance_a_pole(tmp_path):
    out = run("pole_policy.py", "--updates", "25", "--carts", "8", cwd=tmp_path)
    assert float(re.search(r"mean return of the last 100 episodes ([\d.]+)", out)[1]) > 45  # 22 by chance


def test_regressions_find_what_closed_forms_find(tmp_path):
    pytest.importorskip("sklearn")
    out = run("regression.py", "--epochs", "15", cwd=tmp_path)
    assert float(re.search(r"from least squares ([\d.e+-]+)", out)[1]) < 1e-2  # of weights up to 40
    found, newton = re.search(r"loss ([\d.]+), Newton's method ([\d.]+)", out).groups()
    assert abs(float(found) - float(newton)) < 1e-7


def write_cifar(folder):
    """Ten colours under noise, in CIFAR-10's pickled format."""
    rng = np.random.default_rng(0)
    colours = np.array([[r, g, b] for r in (40, 215) for g in (40, 215) for b in (40, 215)] + [[128, 128, 0], [0, 128, 128]])
    folder.mkdir(parents=True)
    for name, count in [(f"data_batch_{i}", 400) for i in range(1, 6)] + [("test_batch", 200)]:
        labels = rng.integers(0, 10, count)
        noise = rng.integers(-40, 41, (count, 3, 1024))
        data = np.clip(colours[labels][:, :, None] + noise, 0, 255).astype(np.uint8).reshape(count, 3072)
        content = {b"batch_label": name.encode(), b"labels": labels.tolist(), b"data": data, b"filenames": [b""] * count}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))


def test_convnet_learns_cifar_with_two_workers(tmp_path):
    write_cifar(tmp_path / "data" / "cifar-10-batches-py")
    out = run("seed_001_convnet.py", cwd=tmp_path)
    assert int(re.search(r"images: (\d+) %", out)[1]) >= 50


@pytest.mark.parametrize(("name", "pattern"), [("seed_002_log_softmax.py", r"Loss: ([\d.]+)"), ("seed_003_binary.py", r"loss ([\d.]+)"), ("seed_004_regression.py", r"Loss: ([\d.]+)")])
def test_losses_fall(tmp_path, name, pattern):
    losses = [float(v) for v in re.findall(pattern, run(name, cwd=tmp_path))]
    assert losses[-1] < 0.95 * losses[0]


def test_custom_op_proves_its_gradient(tmp_path):
    assert "proved" in run("custom_op.py", cwd=tmp_path)


def test_sentiment_gru_hears_negations(tmp_path):
    """Made-up sentences: 67 % for the judgement without the negation before it. Then lines in UCI's format, as files hold them."""
    assert float(re.findall(r"test accuracy ([\d.]+)%", run("sentiment_gru.py", "--epochs", "4", "--lr", "0.01", cwd=tmp_path))[-1]) > 80
    lines = [f"{'Loved' if label else 'Hated'} it, all {n} of it.  \t{label}" for n in range(40) for label in (0, 1)]
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "shop_labelled.txt").write_text("\n".join(lines) + "\n")
    out = run("sentiment_gru.py", "--data", str(tmp_path), "--epochs", "4", "--lr", "0.02", "--batch-size", "8", cwd=tmp_path)
    assert "64 training and 16 test sentences" in out and float(re.findall(r"test accuracy ([\d.]+)%", out)[-1]) > 90


@pytest.mark.parametrize(("name", "wanted"), [("char_gpt.py", "tinyshakespeare.txt"), ("names_transformer.py", "names.txt")])
def test_data_that_is_not_there(name, wanted, tmp_path):
    with pytest.raises(AssertionError, match=f"there is no {wanted} in it"):
        run(name, "--data", str(tmp_path), cwd=tmp_path)


def test_burgers_pinn_nears_the_exact_solution(tmp_path):
    """59 % if the wave stays as it is at the start."""
    out = run("burgers_pinn.py", "--adam", "100", "--lbfgs", "250", "--points", "400", cwd=tmp_path)
    assert float(re.findall(r"relative L2 error ([\d.]+)%", out)[-1]) < 25


def test_a_compiled_lstm_learns_to_write(tmp_path):
    (tmp_path / "tinyshakespeare.txt").write_text("to be, or not to be, that is the question: " * 200)
    out = run("char_lstm.py", "--data", str(tmp_path), "--batch-size", "8", "--length", "16", "--write", "20", cwd=tmp_path)
    assert float(re.findall(r"validation loss ([\d.]+)", out)[-1]) < 1.0  # 2.7 if it only knew how often each letter comes


def test_a_transformer_writes_names_backwards(tmp_path):
    """Unseen names, every letter right; then names from a file."""
    out = run("names_transformer.py", "--epochs", "2", "--batches", "60", cwd=tmp_path)
    assert float(re.findall(r"exact match ([\d.]+)%", out)[-1]) > 60
    (tmp_path / "names.txt").write_text("\n".join(a + b + c for a in "bdfgklm" for b in "aeiou" for c in ("", "n", "ra", "na")) + "\nTOOLONGANAME\n")
    out = run("names_transformer.py", "--data", str(tmp_path), "--epochs", "1", "--batches", "1", "--no-compile", cwd=tmp_path)
    assert "112 training and 28 test names" in out


def test_a_unet_finds_shapes(tmp_path):
    out = run("shapes_unet.py", "--steps", "60", "--side", "24", "--lr", "0.01", "--no-compile", cwd=tmp_path)
    assert float(re.findall(r"mean IoU ([\d.]+)%", out)[-1]) > 30  # 21 where everything is called background


def test_a_detector_finds_shapes(tmp_path):
    out = run("shapes_detector.py", "--steps", "60", "--lr", "0.01", "--no-compile", cwd=tmp_path)
    assert float(re.findall(r"mAP at 0.5 ([\d.]+)%", out)[-1]) > 30


def test_a_variational_autoencoder_needs_fewer_nats(tmp_path):
    found, needed = re.search(r"test ([\d.]+) nats an image, ([\d.]+) without", run("digits_vae.py", "--epochs", "30", cwd=tmp_path)).groups()
    assert float(found) < 20 and 24 < float(needed) < 25


def test_an_adversarial_network_draws_digits(tmp_path):
    """Its drawings before it learns: sure of few, of three digits or so, score about 1.5."""
    out = run("digits_gan.py", "--epochs", "40", cwd=tmp_path)
    sure, digits, score = re.search(r"sure of ([\d.]+)% of 1000 drawings, (\d+) of 10 digits among them, inception score ([\d.]+)", out).groups()
    assert float(sure) > 40 and int(digits) >= 8 and float(score) > 4
