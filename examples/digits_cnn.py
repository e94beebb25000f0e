"""Train a small convolutional network on handwritten digits and report how well it reads digits it has never seen.

By default: the 1,797 digits that numgrad carries with it. `--dataset mnist --data DIR` trains on MNIST's files in DIR.

usage: python examples/digits_cnn.py [--epochs N] [--no-compile] [--plot curves.png] [--dataset mnist --data DIR]
"""

import argparse
import time

import numgrad
import numgrad.nn as nn
from numgrad import metrics
from numgrad.utils.data import DataLoader, TensorDataset
from numgrad.vision import datasets


class DigitsCNN(nn.Module):
    """Two normalised convolutions, one pooling, two linear layers; `side` is the height and width of the images."""

    def __init__(self, side):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * (side // 2) ** 2, 64), nn.ReLU(), nn.Linear(64, 10)
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def load(name, root, train):
    """Images as floats in [0, 1] of shape (N, 1, side, side), and their labels."""
    if name == "digits":
        data, brightest = datasets.Digits(train=train), 16
    else:
        data, brightest = datasets.MNIST(root, train=train), 255
    return TensorDataset(data.data.float().unsqueeze(1) / brightest, data.targets)


def evaluate(model, loader):
    """Labels and predictions for everything the loader gives."""
    model.eval()
    with numgrad.no_grad():
        found = [(labels, model(images).argmax(1)) for images, labels in loader]
    return tuple(numgrad.cat(parts) for parts in zip(*found, strict=True))


def training_step(model, criterion, optimizer):
    """A function that trains on one batch and returns its loss and how many labels were right."""

    def step(images, labels):
        optimizer.zero_grad()
        scores = model(images)
        loss = criterion(scores, labels)
        loss.backward()
        optimizer.step()
        return loss, (scores.argmax(1) == labels).sum()

    return step


def train_epoch(step, loader, describe):
    """One pass over the training data; returns mean loss and accuracy."""
    total = correct = seen = 0
    for images, labels in describe(loader):
        loss, right = step(images, labels)
        total += loss.item() * len(labels)
        correct += right.item()
        seen += len(labels)
    return total / seen, correct / seen


def progress(epoch, epochs, quiet):
    """A progress bar around a loader."""
    if quiet:
        return lambda loader: loader
    try:
        from tqdm import tqdm
    except ImportError:
        raise SystemExit("the progress bar needs tqdm: pip install 'numgrad[plot]', or run with --quiet") from None
    return lambda loader: tqdm(loader, f"epoch {epoch:2d}/{epochs}", leave=False)


def plot(curves, path):
    """Loss and accuracy a curve each, as an image file."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SystemExit("--plot needs matplotlib: pip install 'numgrad[plot]'") from None
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, (what, train, test) in zip(figure.subplots(1, 2), curves, strict=True):
        axes.plot(range(1, len(train) + 1), train, label="training")
        axes.plot(range(1, len(test) + 1), test, label="test")
        axes.set(xlabel="epoch", ylabel=what)
        axes.legend()
    figure.savefig(path)
    print(f"curves written to {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--dataset", choices=["digits", "mnist"], default="digits")
    parser.add_argument("--data", metavar="DIR", help="folder of MNIST's files; digits are embedded in the package")
    parser.add_argument("--epochs", type=int, default=None, help="default: 15 for digits, 3 for mnist")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE", help="write curves of loss and accuracy")
    parser.add_argument("--no-compile", action="store_true", help="run every operation by itself instead of whole steps")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args()
    if options.dataset == "mnist" and options.data is None:
        parser.error("--dataset mnist needs --data DIR")
    epochs = options.epochs or {"digits": 15, "mnist": 3}[options.dataset]

    numgrad.manual_seed(options.seed)
    training, test = (load(options.dataset, options.data, train) for train in (True, False))
    loader = DataLoader(training, options.batch_size, shuffle=True)
    test_loader = DataLoader(test, 256)
    model = DigitsCNN(training.tensors[0].shape[-1])
    criterion = nn.CrossEntropyLoss()
    optimizer = numgrad.optim.AdamW(model.parameters(), lr=options.lr)
    scheduler = numgrad.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)

    step = numgrad.compile(training_step(model, criterion, optimizer), disable=options.no_compile)

    print(model)
    print(f"{len(training)} training and {len(test)} test images, {numgrad.get_num_threads()} threads")
    start, losses, accuracies = time.perf_counter(), ([], []), ([], [])
    for epoch in range(1, epochs + 1):
        model.train()
        loss, accuracy = train_epoch(step, loader, progress(epoch, epochs, options.quiet))
        scheduler.step()
        labels, predicted = evaluate(model, test_loader)
        with numgrad.no_grad():
            test_loss = sum(criterion(model(x), y).item() * len(y) for x, y in test_loader) / len(test)
        for curve, value in zip((*losses, *accuracies), (loss, test_loss, accuracy, metrics.accuracy(predicted, labels)), strict=True):
            curve.append(value)
        print(f"epoch {epoch:2d}  loss {loss:.4f}  accuracy {accuracy:.2%}  test loss {test_loss:.4f}  test accuracy {accuracies[1][-1]:.2%}")
    print(f"trained in {time.perf_counter() - start:.1f} s")

    scores = {name: getattr(metrics, name)(predicted, labels, average="macro") for name in ("precision", "recall", "f1")}
    print(f"test accuracy {accuracies[1][-1]:.2%}  " + "  ".join(f"{name} {value:.4f}" for name, value in scores.items()))
    if options.plot:
        plot([("loss", *losses), ("accuracy", *accuracies)], options.plot)


if __name__ == "__main__":
    main()
