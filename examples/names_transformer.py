"""Teach a Transformer to write names backwards, and report how many names that it has never seen it gets right.

By default the names are made up of syllables; `--data DIR` reads `names.txt` in DIR, a name on each line. An encoder reads
the name, a decoder writes the other one, letter by letter: in training each letter is foretold from the true ones before it,
in the test from those that the model itself has written. The whole training step is compiled.

usage: python examples/names_transformer.py [--data DIR] [--epochs N] [--batches N] [--seed N] [--no-compile]
"""

import argparse
import random
import time

from given import find

import numgrad as torch
import numgrad.nn as nn
import numgrad.nn.functional as F
from numgrad.utils.data import DataLoader, TensorDataset

PAD, START, END = 0, 1, 2
LETTERS = "abcdefghijklmnopqrstuvwxyz"
LONGEST = 10  # letters


class NamesTransformer(nn.Module):
    """Letters and their places as vectors, an encoder and a decoder, and a score for each letter that may come next."""

    def __init__(self, width=64, heads=4, layers=2):
        super().__init__()
        self.letters = nn.Embedding(3 + len(LETTERS), width, padding_idx=PAD)
        self.places = nn.Embedding(LONGEST + 2, width)
        self.transformer = nn.Transformer(width, heads, layers, layers, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.score = nn.Linear(width, 3 + len(LETTERS))

    def embed(self, tokens):
        return self.letters(tokens) + self.places(torch.arange(tokens.size(1)))

    def encode(self, source):
        """What the encoder makes of the names, and where they are padded."""
        padded = source == PAD
        return self.transformer.encoder(self.embed(source), src_key_padding_mask=padded), padded

    def decode(self, target, memory, padded):
        """Scores of the letter after each of `target`'s."""
        future = nn.Transformer.generate_square_subsequent_mask(target.size(1))
        found = self.transformer.decoder(
            self.embed(target), memory, tgt_mask=future, tgt_is_causal=True, memory_key_padding_mask=padded
        )
        return self.score(found)

    def forward(self, source, target):
        return self.decode(target, *self.encode(source))


def make_up(count, rng):
    """Different names of two to four syllables."""
    heads, tails = ["", *"bdfghjklmnprstvz", "br", "ch", "kr", "sh", "th"], ["", *"lnrs", "nn", "th"]
    names = set()
    while len(names) < count:
        syllables = [rng.choice(heads) + rng.choice("aeiouy") + rng.choice(tails) for _ in range(rng.randint(2, 4))]
        names.add("".join(syllables))
    return sorted(names)


def load(folder, rng):
    """Different names in random order."""
    names = make_up(12000, rng) if folder is None else find(folder, "names.txt")[0].read_text(encoding="utf-8").split()
    names = sorted({n for n in map(str.lower, names) if n.isascii() and n.isalpha() and len(n) <= LONGEST})
    rng.shuffle(names)
    return names


def encode(names):
    """Names as rows of tokens: a start, the letters, an end, and padding."""
    rows = torch.full((len(names), LONGEST + 2), PAD)
    for row, name in zip(rows, names, strict=True):
        row[: len(name) + 2] = torch.tensor([START, *(3 + LETTERS.index(c) for c in name), END])
    return rows


def spell(row):
    """The name in a row of tokens."""
    letters = row.tolist()[1:]
    return "".join(LETTERS[t - 3] for t in letters[: letters.index(END) if END in letters else None] if t > END)


@torch.no_grad()
def translate(model, source):
    """Names that the model writes, the likeliest letter at each place."""
    model.eval()
    memory, padded = model.encode(source)
    target = torch.full((len(source), 1), START)
    for _ in range(source.size(1) - 1):
        letter = model.decode(target, memory, padded)[:, -1].argmax(1, keepdim=True)
        ended = ((target == END).any(1, keepdim=True)) | (target[:, -1:] == PAD)
        target = torch.cat([target, letter.masked_fill(ended, PAD)], 1)
    model.train()
    return target


def evaluate(model, source, target):
    """Share of names that are right from the first letter to the last."""
    pairs = zip(source.split(500), target.split(500), strict=True)
    return sum((translate(model, x) == y).all(1).sum().item() for x, y in pairs) / len(source)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", metavar="DIR", help="folder of names.txt (default: made-up names)")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batches", type=int, default=None, metavar="N", help="batches an epoch at most")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-compile", action="store_true", help="run every operation on its own")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    names = load(options.data, random.Random(options.seed))
    source, target = encode(names), encode([name[::-1] for name in names])
    held = min(1000, len(names) // 5)
    training, test = TensorDataset(source[held:], target[held:]), (source[:held], target[:held])
    loader = DataLoader(training, options.batch_size, shuffle=True, drop_last=True)
    batches = min(len(loader), options.batches or len(loader))
    model = NamesTransformer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.epochs * batches + 1)
    print(f"{len(training)} training and {held} test names, {sum(p.numel() for p in model.parameters())} parameters")

    def step(x, y):
        optimizer.zero_grad()
        scores = model(x, y[:, :-1])
        loss = F.cross_entropy(scores.flatten(0, 1), y[:, 1:].flatten(), ignore_index=PAD)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    run = torch.compile(step, disable=options.no_compile)
    start = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        total = 0.0
        for _, (x, y) in zip(range(batches), loader, strict=False):
            total += run(x, y).item()
            scheduler.step()
        right = evaluate(model, *test)
        print(f"epoch {epoch:2d}  {time.perf_counter() - start:5.1f} s  loss {total / batches:.4f}  exact match {right:.2%}", flush=True)
    for row, written in zip(test[0][:4], translate(model, test[0][:4]), strict=True):
        print(f"{spell(row)} -> {spell(written)}")
    print(f"exact match {right:.2%}")


if __name__ == "__main__":
    main()
