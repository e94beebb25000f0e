"""Train a U-Net to find discs, squares and triangles in noisy pictures, point by point, and report the mean IoU on new ones.

The pictures are generated: up to four shapes each, of any size and brightness, one over another, under noise. The network
goes down to a quarter of the side, and up again with what it saw on the way down. The whole training step is compiled.

usage: python examples/shapes_unet.py [--steps N] [--batch-size N] [--side N] [--seed N] [--no-compile]
"""

import argparse
import math
import time

import numgrad as torch
import numgrad.nn as nn
import numgrad.nn.functional as F

CLASSES = ("background", "disc", "square", "triangle")


def block(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
    )  # fmt: skip


class UNet(nn.Module):
    """Convolutions at three sizes, down and up (Ronneberger, Fischer and Brox 2015)."""

    def __init__(self, classes, width=16):
        super().__init__()
        self.top, self.middle, self.bottom = block(1, width), block(width, 2 * width), block(2 * width, 4 * width)
        self.up_middle = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.up_top = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.join_middle, self.join_top = block(4 * width, 2 * width), block(2 * width, width)
        self.score = nn.Conv2d(width, classes, 1)

    def forward(self, images):
        top = self.top(images)
        middle = self.middle(F.max_pool2d(top, 2))
        bottom = self.bottom(F.max_pool2d(middle, 2))
        middle = self.join_middle(torch.cat([self.up_middle(bottom), middle], 1))
        return self.score(self.join_top(torch.cat([self.up_top(middle), top], 1)))


def shapes(kinds, centres, sizes, angles, side):
    """Masks (N, side, side) of shapes by their kind (1 disc, 2 square, 3 triangle), centre, radius and rotation."""
    places = torch.arange(side) + 0.5
    y, x = torch.meshgrid(places, places, indexing="ij")
    x, y = x - centres[:, 0, None, None], y - centres[:, 1, None, None]
    cos, sin = angles.cos()[:, None, None], angles.sin()[:, None, None]
    u, v, r = x * cos + y * sin, y * cos - x * sin, sizes[:, None, None]
    disc = u * u + v * v < r * r
    square = torch.maximum(u.abs(), v.abs()) < 0.8 * r
    triangle = (v < 0.6 * r) & (math.sqrt(3) * u.abs() - v < 1.2 * r)
    kinds = kinds[:, None, None]
    return torch.where(kinds == 1, disc, torch.where(kinds == 2, square, triangle))


def generate(count, side, most=4):
    """Pictures (N, 1, side, side) and the class of each point (N, side, side); later shapes cover earlier ones."""
    images, labels = torch.rand(count, 1, 1) * 0.4, torch.zeros(count, side, side, dtype=torch.int64)
    images = images.expand(count, side, side).clone()
    for n in range(most):
        kinds = torch.randint(1, 4, (count,))
        centres = side * (0.1 + 0.8 * torch.rand(count, 2))
        masks = shapes(kinds, centres, side * (0.1 + 0.12 * torch.rand(count)), torch.rand(count) * 2 * math.pi, side)
        if n > 0:  # the first is always there
            masks &= (torch.rand(count) < 0.6)[:, None, None]
        images = torch.where(masks, 0.5 + 0.5 * torch.rand(count, 1, 1), images)
        labels = torch.where(masks, kinds[:, None, None], labels)
    return (images + 0.1 * torch.randn(count, side, side)).unsqueeze(1), labels


@torch.no_grad()
def evaluate(model, images, labels):
    """Of each class: points that are it and are called it, by points that are it or are called it."""
    model.eval()
    found = torch.cat([model(part).argmax(1) for part in images.split(50)])
    model.train()
    pairs = torch.bincount((labels * len(CLASSES) + found).flatten(), minlength=len(CLASSES) ** 2)
    confusion = pairs.view(len(CLASSES), len(CLASSES)).float()
    both = confusion.diagonal()
    return both / (confusion.sum(0) + confusion.sum(1) - both)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--side", type=int, default=48, help="of the pictures, a multiple of 4")
    parser.add_argument("--lr", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-compile", action="store_true", help="run every operation on its own")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    images, labels = generate(200, options.side)
    model = UNet(len(CLASSES))
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.steps + 1)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, pictures of {options.side} by {options.side}")

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = torch.compile(step, disable=options.no_compile)
    start = time.perf_counter()
    for n in range(1, options.steps + 1):
        loss = run(*generate(options.batch_size, options.side))
        scheduler.step()
        if n % 200 == 0 or n == options.steps:
            overlap = evaluate(model, images, labels)
            gone = time.perf_counter() - start
            print(f"step {n:4d}  {gone:5.1f} s  loss {loss.item():.4f}  mean IoU {overlap.mean().item():.2%}", flush=True)
    print("  ".join(f"{name} {share:.2%}" for name, share in zip(CLASSES, overlap.tolist(), strict=True)))
    print(f"mean IoU {overlap.mean().item():.2%}")


if __name__ == "__main__":
    main()
