"""Train a small GPT to write, character by character, and let it write.

By default it learns from the source code of numgrad, the text that it carries with it; `--data DIR` learns from
`tinyshakespeare.txt` in DIR. The whole training step is compiled.

usage: python examples/char_gpt.py [--data DIR] [--minutes 10] [--steps N] [--no-compile]
"""

import argparse
import math
import time
from pathlib import Path

from given import find

import numgrad
import numgrad.nn as nn
import numgrad.nn.functional as F


class Block(nn.Module):
    """Attention to what came before, then two linear layers, each added to what it was given."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout))

    def forward(self, x):
        batch, time_steps, width = x.shape
        parts = self.project(self.norm1(x)).view(batch, time_steps, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        seen = self.merge(seen.transpose(1, 2).reshape(batch, time_steps, width))
        x = x + F.dropout(seen, self.dropout, self.training)
        return x + self.wide(self.norm2(x))


class GPT(nn.Module):
    """Characters and positions as vectors, blocks, and a score for each character that may come next."""

    def __init__(self, characters, context, width=128, heads=4, layers=4, dropout=0.0):
        super().__init__()
        self.context = context
        self.character, self.position = nn.Embedding(characters, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block(width, heads, dropout) for _ in range(layers)], nn.LayerNorm(width))
        self.score = nn.Linear(width, characters, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * layers) if "merge" in name or "wide.2" in name else 0.02)

    def forward(self, text):
        positions = numgrad.arange(text.shape[1])
        return self.score(self.blocks(self.character(text) + self.position(positions)))


def load(folder):
    """The text as a tensor of character numbers, and the characters."""
    if folder is None:
        files = sorted(Path(numgrad.__file__).parent.rglob("*.py"))
        text = "\n".join(file.read_text(encoding="utf-8") for file in files)
        text = "".join(c for c in text if c.isascii())
    else:
        text = find(folder, "tinyshakespeare.txt")[0].read_text(encoding="utf-8")
    characters = sorted(set(text))
    numbers = {c: n for n, c in enumerate(characters)}
    return numgrad.tensor([numbers[c] for c in text]), characters


def draw(text, batch, context):
    """Random pieces of a text, and for each character the one that comes next."""
    starts = numgrad.randint(len(text) - context - 1, (batch, 1))
    places = starts + numgrad.arange(context)
    return text[places], text[places + 1]


def evaluate(model, text, batch, rounds=20):
    """Mean loss on pieces of a text."""
    model.eval()
    with numgrad.no_grad():
        losses = [F.cross_entropy(model(x).flatten(0, 1), y.flatten()) for x, y in (draw(text, batch, model.context) for _ in range(rounds))]
    model.train()
    return sum(loss.item() for loss in losses) / rounds


def write(model, characters, count):
    """Text that the model makes up."""
    model.eval()
    found = numgrad.zeros(1, 1, dtype=numgrad.int64)
    with numgrad.no_grad():
        for _ in range(count):
            scores = model(found[:, -model.context :])[:, -1]
            found = numgrad.cat([found, numgrad.multinomial(scores.softmax(1), 1)], 1)
    return "".join(characters[n] for n in found[0].tolist())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", metavar="DIR", help="folder of tinyshakespeare.txt; numgrad's own source is embedded")
    parser.add_argument("--minutes", type=float, default=10.0, help="time to train (default: 10)")
    parser.add_argument("--steps", type=int, default=100_000, help="steps to train at most")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--context", type=int, default=64, help="characters that the model sees")
    parser.add_argument("--write", type=int, default=300, help="characters to write in the end")
    parser.add_argument("--no-compile", action="store_true", help="run every operation on its own")
    options = parser.parse_args()

    numgrad.manual_seed(0)
    text, characters = load(options.data)
    training, validation = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    model = GPT(len(characters), options.context)
    optimizer = numgrad.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.99), weight_decay=0.1)
    print(f"{len(text)} characters, {sum(p.numel() for p in model.parameters())} parameters")

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    run = step if options.no_compile else numgrad.compile(step)
    start, lowest = time.perf_counter(), math.inf
    for count in range(1, options.steps + 1):
        gone = max((time.perf_counter() - start) / (60 * options.minutes), count / options.steps)
        optimizer.param_groups[0]["lr"] = 2e-3 * min(1, count / 100) * (0.55 + 0.45 * math.cos(math.pi * min(1, gone)))
        loss = run(*draw(training, options.batch_size, options.context))
        if count % 250 == 0 or gone >= 1:
            lowest = evaluate(model, validation, options.batch_size)
            print(f"step {count:6d}  {time.perf_counter() - start:6.1f} s  training loss {loss.item():.4f}  validation loss {lowest:.4f}", flush=True)
        if gone >= 1:
            break
    print(write(model, characters, options.write))
    print(f"validation loss {lowest:.4f}")


if __name__ == "__main__":
    main()
