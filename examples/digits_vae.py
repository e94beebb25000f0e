"""Train a variational autoencoder on handwritten digits, and report how many nats it needs for a digit it has never seen.

By default: the 1,797 digits that numgrad carries with it; `--data DIR` reads MNIST's files in DIR. A point is ink or paper
(brighter than half or not), so that a model gives each image a probability. The bound on it (ELBO) is compared with what the
share of ink at each point needs, known from training images and nothing else. The whole training step is compiled.

usage: python examples/digits_vae.py [--data DIR] [--epochs N] [--seed N] [--no-compile]
"""

import argparse
import time

import numgrad as torch
import numgrad.nn as nn
import numgrad.nn.functional as F
from numgrad.utils.data import DataLoader, TensorDataset
from numgrad.vision import datasets


class VAE(nn.Module):
    """Images to normal distributions of a code, codes to the odds of ink at each point (Kingma and Welling 2014)."""

    def __init__(self, points, code, hidden):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(points, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(hidden, code), nn.Linear(hidden, code)
        self.decoder = nn.Sequential(nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, points))

    def forward(self, images):
        found = self.encoder(images)
        mean, log_variance = self.mean(found), self.log_variance(found)
        code = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return self.decoder(code), mean, log_variance


def negative_bound(scores, images, mean, log_variance):
    """Reconstruction and divergence from the standard normal, each in nats an image."""
    reconstruction = F.binary_cross_entropy_with_logits(scores, images, reduction="sum") / len(images)
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp()) / len(images)
    return reconstruction, divergence


def load(folder, train):
    """Images as rows of zeros and ones."""
    if folder is None:
        return (datasets.Digits(train=train).data > 8).flatten(1).float()
    return (datasets.MNIST(folder, train=train).data > 127).flatten(1).float()


def baseline(training, test):
    """Nats an image where each point is ink as often as in training, whatever the others are."""
    share = (training.sum(0) + 1) / (len(training) + 2)
    return F.binary_cross_entropy(share.expand_as(test), test, reduction="sum").item() / len(test)


@torch.no_grad()
def evaluate(model, test):
    """Nats an image by the bound, its two parts, and the share of points that the likelier colour gets right."""
    model.eval()
    total, right = torch.zeros(2), 0.0
    for images in test.split(500):
        scores, mean, log_variance = model(images)
        total += torch.stack(negative_bound(scores, images, mean, log_variance)) * len(images)
        right += ((scores > 0) == (images > 0.5)).float().mean().item() * len(images)
    model.train()
    return *(total / len(test)).tolist(), right / len(test)


def draw(images, side):
    """Images side by side, as text."""
    for row in images.view(-1, side, side).transpose(0, 1).tolist():
        print("  ".join("".join("#" if point > 0.5 else "." for point in image) for image in row))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", metavar="DIR", help="folder of MNIST's files; digits are embedded in the package")
    parser.add_argument("--epochs", type=int, default=None, help="default: 100 for digits, 10 for MNIST")
    parser.add_argument("--batch-size", type=int, default=None, help="default: 32 for digits, 128 for MNIST")
    parser.add_argument("--code", type=int, default=None, help="numbers in a code; default: 8 for digits, 20 for MNIST")
    parser.add_argument("--hidden", type=int, default=None, help="default: 128 for digits, 400 for MNIST")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-compile", action="store_true", help="run every operation on its own")
    options = parser.parse_args()
    usual = (100, 32, 8, 128) if options.data is None else (10, 128, 20, 400)
    given = options.epochs, options.batch_size, options.code, options.hidden
    epochs, batch, code, hidden = (u if g is None else g for g, u in zip(given, usual, strict=True))

    torch.manual_seed(options.seed)
    training, test = (load(options.data, train) for train in (True, False))
    loader = DataLoader(TensorDataset(training), batch, shuffle=True, drop_last=True)
    model = VAE(training.size(1), code, hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    needed = baseline(training, test)
    print(f"{len(training)} training and {len(test)} test images; {needed:.2f} nats an image by the share of ink at each point")

    def step(images):
        optimizer.zero_grad()
        scores, mean, log_variance = model(images)
        loss = sum(negative_bound(scores, images, mean, log_variance))
        loss.backward()
        optimizer.step()
        return loss

    run = torch.compile(step, disable=options.no_compile)
    start = time.perf_counter()
    for epoch in range(1, epochs + 1):
        total = sum(run(images).item() for (images,) in loader)
        scheduler.step()
        if epoch % max(epochs // 10, 1) == 0:
            reconstruction, divergence, right = evaluate(model, test)
            gone, bound = time.perf_counter() - start, reconstruction + divergence
            print(f"epoch {epoch:3d}  {gone:5.1f} s  training {total / len(loader):.2f}  test {bound:.2f} nats", flush=True)
    side = int(test.size(1) ** 0.5)
    with torch.no_grad():
        draw(torch.cat([test[:4], model(test[:4])[0].sigmoid()]), side)
        draw(torch.bernoulli(model.decoder(torch.randn(8, code)).sigmoid()), side)
    print(f"{reconstruction:.2f} of reconstruction and {divergence:.2f} of code; {right:.2%} of the points right")
    print(f"test {bound:.2f} nats an image, {needed:.2f} without a model")


if __name__ == "__main__":
    main()
