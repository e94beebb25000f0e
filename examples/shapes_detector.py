"""Train a small detector to find ellipses, rectangles and triangles, with a box around each, and report mAP on new scenes.

The scenes are generated: one to four shapes of any brightness under noise. One stage, no anchors: each cell of a grid says of
which kind the shape is whose centre lies in it, if any (focal loss), and how far its sides are from the cell's middle (GIoU
loss). Boxes that overlap a surer one of their kind are dropped. The whole training step is compiled.

usage: python examples/shapes_detector.py [--steps N] [--batch-size N] [--seed N] [--no-compile]
"""

import argparse
import time

import numgrad as torch
import numgrad.nn as nn
import numgrad.nn.functional as F

KINDS = ("ellipse", "rectangle", "triangle")
SIDE, CELL = 64, 8  # of a scene and of a cell of the grid, in points
GRID = SIDE // CELL


class Detector(nn.Module):
    """Convolutions down to the grid; at each cell a score a kind, and the distances of four sides."""

    def __init__(self, width=16):
        super().__init__()

        def block(inputs, outputs, stride):
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

        self.body = nn.Sequential(
            block(1, width, 2), block(width, 2 * width, 2), block(2 * width, 4 * width, 2),
            block(4 * width, 4 * width, 1), block(4 * width, 4 * width, 1),
        )  # fmt: skip
        self.scores, self.sides = nn.Conv2d(4 * width, len(KINDS), 1), nn.Conv2d(4 * width, 4, 1)
        nn.init.constant_(self.scores.bias, -3.0)  # shapes are rare: Lin et al. 2017
        middles = (torch.arange(GRID) + 0.5) * CELL
        self.register_buffer("middle", torch.stack(torch.meshgrid(middles, middles, indexing="xy")), persistent=False)

    def forward(self, images):
        """Scores (N, kinds, GRID, GRID), and boxes (N, 4, GRID, GRID): left, top, right, bottom."""
        found = self.body(images)
        sides = F.softplus(self.sides(found)) * CELL
        return self.scores(found), torch.cat([self.middle - sides[:, :2], self.middle + sides[:, 2:]], 1)


def generate(count):
    """Scenes (N, 1, SIDE, SIDE), boxes (N, 4, 4) and kinds (N, 4), -1 for none; a shape's centre keeps to its quarter."""
    kinds = torch.where(torch.rand(count, 4) < 0.6, torch.randint(0, len(KINDS), (count, 4)), -1)
    kinds[:, 0] = torch.randint(0, len(KINDS), (count,))
    quarter = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) * SIDE / 2
    centres = quarter + SIDE / 2 * (0.2 + 0.6 * torch.rand(count, 4, 2))
    halves = 4 + 8 * torch.rand(count, 4, 2)
    boxes = torch.cat([centres - halves, centres + halves], 2).clamp(0, SIDE)
    places = torch.arange(SIDE) + 0.5
    images = 0.4 * torch.rand(count, 1, 1).expand(count, SIDE, SIDE)
    for n in range(4):
        kind = kinds[:, n, None, None]
        u = (places[None, None, :] - centres[:, n, 0, None, None]) / halves[:, n, 0, None, None]
        v = (places[None, :, None] - centres[:, n, 1, None, None]) / halves[:, n, 1, None, None]
        rectangle = torch.maximum(u.abs(), v.abs()) < 1
        triangle = (2 * u.abs() - v < 1) & (v < 1)
        mask = torch.where(kind == 0, u * u + v * v < 1, torch.where(kind == 1, rectangle, triangle)) & (kind >= 0)
        images = torch.where(mask, 0.5 + 0.5 * torch.rand(count, 1, 1), images)
    return (images + 0.1 * torch.randn(count, SIDE, SIDE)).unsqueeze(1), boxes, kinds


def to_grid(boxes, kinds):
    """What the detector should say: one-hot kinds (N, kinds, GRID, GRID) and boxes (N, 4, GRID, GRID)."""
    image, n = torch.nonzero(kinds >= 0, as_tuple=True)
    box, kind = boxes[image, n], kinds[image, n]
    column, row = ((box[:, :2] + box[:, 2:]) / 2 / CELL).long().clamp(0, GRID - 1).unbind(1)
    wanted, sides = torch.zeros(len(kinds), len(KINDS), GRID, GRID), torch.zeros(len(kinds), GRID, GRID, 4)
    wanted[image, kind, row, column] = 1.0
    sides[image, row, column] = box
    return wanted, sides.permute(0, 3, 1, 2).contiguous()


def overlaps(a, b):
    """Intersection over union, and its generalised form (Rezatofighi et al. 2019), of boxes whose last dimension is 4."""
    inner = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    outer = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - inner
    iou = inner / (union + 1e-6)
    return iou, iou - (outer - union) / (outer + 1e-6)


def criterion(scores, boxes, wanted, sides):
    """Focal loss of all cells, GIoU loss of those with a shape, both per shape."""
    probability, loss = scores.sigmoid(), F.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    missed = torch.where(wanted == 1, 1 - probability, probability)
    there = wanted.sum(1)
    _, overlap = overlaps(boxes.movedim(1, -1), sides.movedim(1, -1))
    return ((missed**2 * loss).sum() + ((1 - overlap) * there).sum()) / there.sum()


@torch.no_grad()
def detect(model, images, most=30):
    """For each scene: boxes, kinds and scores of what is left after overlapping boxes of a kind are dropped."""
    scores, boxes = model(images)
    best, order = scores.sigmoid().flatten(1).topk(most)  # of all kinds and cells
    kinds, cells = order // GRID**2, order % GRID**2
    boxes = boxes.flatten(2).transpose(1, 2).gather(1, cells.unsqueeze(2).expand(-1, -1, 4))
    iou, _ = overlaps(boxes.unsqueeze(2), boxes.unsqueeze(1))
    drops = torch.triu((iou > 0.5) & (kinds.unsqueeze(2) == kinds.unsqueeze(1)), 1)  # the surer box drops the other
    keep, before = torch.ones_like(kinds, dtype=torch.bool), None
    while before is None or not torch.equal(keep, before):  # a box that is dropped drops none
        keep, before = ~(drops & keep.unsqueeze(2)).any(1), keep
    return [(b[k], c[k], s[k]) for b, c, s, k in zip(boxes, kinds, best, keep, strict=True)]


def average_precision(found, boxes, kinds, kind):
    """Area under the curve of precision over recall for one kind; a box is right if it overlaps a new one by half."""
    marks, total = [], (kinds == kind).sum().item()
    for (at, what, scores), true, names in zip(found, boxes, kinds, strict=True):
        at, scores, true = at[what == kind], scores[what == kind], true[names == kind]
        iou, free = overlaps(at.unsqueeze(1), true.unsqueeze(0))[0].tolist(), set(range(len(true)))
        for score, row in zip(scores.tolist(), iou, strict=True):
            match = max(free, key=row.__getitem__, default=None)
            right = match is not None and row[match] >= 0.5
            free -= {match} if right else set()
            marks.append((score, right))
    right = torch.tensor([r for _, r in sorted(marks, reverse=True)]).double()
    if total == 0 or len(right) == 0:
        return 0.0
    precision = right.cumsum(0) / torch.arange(1, len(right) + 1)
    return (precision.flip(0).cummax(0).values.flip(0) * right).sum().item() / total


def evaluate(model, images, boxes, kinds):
    """Average precision of each kind."""
    model.eval()
    found = [scene for part in images.split(50) for scene in detect(model, part)]
    model.train()
    return [average_precision(found, boxes, kinds, kind) for kind in range(len(KINDS))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-compile", action="store_true", help="run every operation on its own")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    test, model = generate(300), Detector()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.steps + 1)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {(test[2] >= 0).sum().item()} shapes in {len(test[0])} test scenes")

    def step(images, wanted, sides):
        optimizer.zero_grad()
        loss = criterion(*model(images), wanted, sides)
        loss.backward()
        optimizer.step()
        return loss

    run = torch.compile(step, disable=options.no_compile)
    start = time.perf_counter()
    for n in range(1, options.steps + 1):
        images, boxes, kinds = generate(options.batch_size)
        loss = run(images, *to_grid(boxes, kinds))
        scheduler.step()
        if n % max(options.steps // 5, 1) == 0:
            found = evaluate(model, *test)
            gone, mean = time.perf_counter() - start, sum(found) / len(found)
            print(f"step {n:4d}  {gone:5.1f} s  loss {loss.item():.4f}  mAP at 0.5 {mean:.2%}", flush=True)
    print("  ".join(f"{kind} {precision:.2%}" for kind, precision in zip(KINDS, found, strict=True)))
    print(f"mAP at 0.5 {mean:.2%}")


if __name__ == "__main__":
    main()
