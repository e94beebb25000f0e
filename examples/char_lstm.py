"""Train an LSTM to write, character by character, and report how well it foretells text it has not seen.

By default it learns from the source code of numgrad, the text that it carries with it; `--data DIR` learns from
`tinyshakespeare.txt` in DIR. The text is read in as many streams as a batch has rows, and the state at the end of one piece
is where the next piece begins. The whole training step is compiled.

usage: python examples/char_lstm.py [--data DIR] [--epochs N] [--pieces N] [--seed N] [--no-compile]
"""

import argparse
import time
from pathlib import Path

from given import find

import numgrad as torch
import numgrad.nn as nn
import numgrad.nn.functional as F


class CharLSTM(nn.Module):
    """Characters as vectors, layers of LSTM, and a score for each character that may come next."""

    def __init__(self, characters, width=64, hidden=128, layers=2, dropout=0.1):
        super().__init__()
        self.layers, self.hidden = layers, hidden
        self.embedding = nn.Embedding(characters, width)
        self.lstm = nn.LSTM(width, hidden, layers, batch_first=True, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Linear(hidden, characters)

    def forward(self, text, state):
        found, state = self.lstm(self.embedding(text), state)
        return self.score(self.dropout(found)), state

    def start(self, batch):
        """State before any text."""
        return torch.zeros(self.layers, batch, self.hidden), torch.zeros(self.layers, batch, self.hidden)


def load(folder):
    """The text as a tensor of character numbers, and the characters."""
    if folder is None:
        files = sorted(Path(torch.__file__).parent.rglob("*.py"))
        text = "\n".join(file.read_text(encoding="utf-8") for file in files)
        text = "".join(c for c in text if c.isascii())
    else:
        text = find(folder, "tinyshakespeare.txt")[0].read_text(encoding="utf-8")
    characters = sorted(set(text))
    numbers = {c: n for n, c in enumerate(characters)}
    return torch.tensor([numbers[c] for c in text]), characters


def pieces(text, batch, length):
    """Pieces of `batch` streams side by side, in order, and for each character the one that comes next."""
    count = (len(text) - 1) // (batch * length)
    shape = batch, count, length
    x, y = (text[k : k + batch * count * length].view(shape) for k in (0, 1))
    return [(x[:, n].contiguous(), y[:, n].contiguous()) for n in range(count)]


def evaluate(model, text, batch, length):
    """Mean loss on a text, in nats a character."""
    model.eval()
    state, losses = model.start(batch), []
    with torch.no_grad():
        for x, y in pieces(text, batch, length):
            scores, state = model(x, state)
            losses.append(F.cross_entropy(scores.flatten(0, 1), y.flatten()).item())
    model.train()
    return sum(losses) / len(losses)


def write(model, characters, count):
    """Text that the model makes up."""
    model.eval()
    last, state, found = torch.zeros(1, 1, dtype=torch.int64), model.start(1), []
    with torch.no_grad():
        for _ in range(count):
            scores, state = model(last, state)
            last = torch.multinomial(scores[:, -1].softmax(1), 1)
            found.append(characters[last.item()])
    return "".join(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", metavar="DIR", help="folder of tinyshakespeare.txt; numgrad's own source is embedded")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--pieces", type=int, default=None, metavar="N", help="pieces of text an epoch at most")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--length", type=int, default=64, help="characters in a piece")
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--write", type=int, default=200, help="characters to write in the end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-compile", action="store_true", help="run every operation on its own")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    text, characters = load(options.data)
    training, validation = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    batches = pieces(training, options.batch_size, options.length)[: options.pieces]
    model = CharLSTM(len(characters))
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.lr, total_steps=options.epochs * len(batches) + 1)
    print(f"{len(text)} characters, {sum(p.numel() for p in model.parameters())} parameters")

    def step(x, y, h, c):
        optimizer.zero_grad()
        scores, (h, c) = model(x, (h, c))
        loss = F.cross_entropy(scores.flatten(0, 1), y.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss, h.detach(), c.detach()

    run = torch.compile(step, disable=options.no_compile)
    begin = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        state, total = model.start(options.batch_size), 0.0
        for x, y in batches:
            loss, *state = run(x, y, *state)
            scheduler.step()
            total += loss.item()
        validated = evaluate(model, validation, options.batch_size, options.length)
        gone = time.perf_counter() - begin
        print(f"epoch {epoch:2d}  {gone:6.1f} s  training loss {total / len(batches):.4f}  validation loss {validated:.4f}", flush=True)
    print(write(model, characters, options.write))
    print(f"validation loss {validated:.4f}")


if __name__ == "__main__":
    main()
