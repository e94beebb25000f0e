"""Train a generative adversarial network to draw digits, and let a classifier of real digits judge what it draws.

By default: the 1,797 digits that numgrad carries with it; `--data DIR` reads MNIST's files in DIR. A generator draws images
out of noise, a discriminator tells them from real ones, each with an optimizer of its own; both updates are one compiled
step. In the end a classifier, trained on real digits alone, says of how many drawings it is sure, which digits they are, and
the inception score: e to the mean divergence of its answers from their mean, 10 for ten digits that are drawn equally often
and never in doubt, 1 for noise.

usage: python examples/digits_gan.py [--data DIR] [--epochs N] [--seed N] [--no-compile]
"""

import argparse
import time

import numgrad as torch
import numgrad.nn as nn
import numgrad.nn.functional as F
from numgrad.utils.data import DataLoader, TensorDataset
from numgrad.vision import datasets

NOISE = 32


def generator(side, width=32):
    """Noise to images, by transposed convolutions (Radford, Metz and Chintala 2016)."""
    return nn.Sequential(
        nn.Linear(NOISE, 2 * width * (side // 4) ** 2, bias=False), nn.Unflatten(1, (2 * width, side // 4, side // 4)),
        nn.BatchNorm2d(2 * width), nn.ReLU(True),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True),
        nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip


def reader(side, outputs, width=32, dropout=0.0):
    """Images to scores: one for the discriminator, ten for the classifier."""
    return nn.Sequential(
        nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Dropout(dropout),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True), nn.Dropout(dropout),
        nn.Flatten(), nn.Linear(2 * width * (side // 4) ** 2, outputs),
    )  # fmt: skip


def start(module):
    """The usual beginning of such networks: small weights."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.05)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def load(folder, train):
    """Images in [-1, 1] and their labels."""
    data, brightest = (datasets.Digits(train=train), 16) if folder is None else (datasets.MNIST(folder, train=train), 255)
    return data.data.float().unsqueeze(1) / brightest * 2 - 1, data.targets


def train_classifier(images, labels, side, steps, batch, disable):
    """A judge who has only seen real digits."""
    model = reader(side, 10, dropout=0.2)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    @torch.compile(disable=disable)
    def step(x, y):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    for _ in range(steps):
        chosen = torch.randint(len(images), (batch,))
        step(images[chosen], labels[chosen])
    return model.eval()


@torch.no_grad()
def judge(draw, classifier, count=1000):
    """Share of drawings that the classifier is sure of, of how many digits there are at least 2 %, and the inception score."""
    draw.eval()
    answers = classifier(draw(torch.randn(count, NOISE))).softmax(1)
    draw.train()
    sure = answers.amax(1) > 0.9
    drawn = torch.bincount(answers[sure].argmax(1), minlength=10)
    mean = answers.mean(0)
    score = (answers * ((answers + 1e-12).log() - (mean + 1e-12).log())).sum(1).mean().exp()
    return sure.float().mean().item(), (drawn >= 0.02 * count).sum().item(), score.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", metavar="DIR", help="folder of MNIST's files; digits are embedded in the package")
    parser.add_argument("--epochs", type=int, default=None, help="default: 400 for digits, 4 for MNIST")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-compile", action="store_true", help="run every operation on its own")
    options = parser.parse_args()
    epochs, lr = options.epochs or (400 if options.data is None else 4), options.lr

    torch.manual_seed(options.seed)
    (images, labels), (unseen, truth) = (load(options.data, train) for train in (True, False))
    side, disable = images.size(-1), options.no_compile
    classifier = train_classifier(images, labels, side, 800, options.batch_size, disable)
    with torch.no_grad():
        right = (torch.cat([classifier(x).argmax(1) for x in unseen.split(500)]) == truth).float().mean().item()
    print(f"{len(images)} images; the classifier reads {right:.2%} of {len(unseen)} unseen ones", flush=True)

    draw, tell = generator(side).apply(start), reader(side, 1).apply(start)
    draw_optimizer = torch.optim.Adam(draw.parameters(), lr=lr, betas=(0.5, 0.999))
    tell_optimizer = torch.optim.Adam(tell.parameters(), lr=lr, betas=(0.5, 0.999))
    loader = DataLoader(TensorDataset(images), options.batch_size, shuffle=True, drop_last=True)
    criterion = nn.BCEWithLogitsLoss()
    real, drawn = torch.full((options.batch_size, 1), 0.9), torch.zeros(options.batch_size, 1)  # 0.9: smoothed

    def step(x):
        fake = draw(torch.randn(len(x), NOISE))
        tell_optimizer.zero_grad()
        tell_loss = criterion(tell(x), real) + criterion(tell(fake.detach()), drawn)
        tell_loss.backward()
        tell_optimizer.step()

        draw_optimizer.zero_grad()
        draw_loss = criterion(tell(fake), real)
        draw_loss.backward()
        draw_optimizer.step()
        return tell_loss, draw_loss

    run = torch.compile(step, disable=disable)
    begin = time.perf_counter()
    for epoch in range(1, epochs + 1):
        for (x,) in loader:
            tell_loss, draw_loss = run(x)
        if epoch % max(epochs // 10, 1) == 0:
            sure, digits, score = judge(draw, classifier)
            losses = f"discriminator {tell_loss.item():.3f}  generator {draw_loss.item():.3f}"
            print(f"epoch {epoch:3d}  {time.perf_counter() - begin:5.1f} s  {losses}  sure of {sure:.1%}  score {score:.2f}", flush=True)
    print(f"sure of {sure:.1%} of 1000 drawings, {digits} of 10 digits among them, inception score {score:.2f}")


if __name__ == "__main__":
    main()
