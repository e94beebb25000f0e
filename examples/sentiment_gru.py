"""Train a GRU to tell praise from complaint in sentences of reviews, and report how often it is right about new ones.

By default the sentences are made up from a small grammar. `--data DIR` reads UCI's sentiment labelled sentences (3,000 from
Amazon, IMDb and Yelp): every `*_labelled.txt` in DIR, a sentence, a tab and 0 or 1 on each line. Sentences of a batch
differ in length and are packed, so no step is spent on padding. As lengths differ from batch to batch, nothing is compiled.

usage: python examples/sentiment_gru.py [--data DIR] [--epochs N] [--seed N]
"""

import argparse
import random
import re
import time
from collections import Counter

from given import find

import numgrad as torch
import numgrad.nn as nn
import numgrad.nn.functional as F
from numgrad.nn.utils.rnn import pack_padded_sequence, pad_sequence
from numgrad.utils.data import DataLoader

UNKNOWN = 1  # number of words that training has not seen twice; 0 pads


class Sentiment(nn.Module):
    """Words as vectors, read forwards and backwards; one score from where both readers end."""

    def __init__(self, words, width=64, hidden=64, dropout=0.5):
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=0)
        self.gru = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.score = nn.Linear(2 * hidden, 1)

    def forward(self, sentences, lengths):
        vectors = self.dropout(self.embedding(sentences))
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        _, last = self.gru(packed)
        return self.score(self.dropout(torch.cat([last[0], last[1]], 1))).squeeze(1)


def make_up(count, rng):
    """Sentences whose judgement may be turned round by a negation some words before it."""
    judgements = {1: ["good", "great", "lovely", "excellent", "fine"], 0: ["bad", "awful", "poor", "terrible", "dull"]}
    found = []
    for _ in range(count):
        label, negations = rng.randrange(2), rng.choice([[], ["not"], ["never"]])
        start = rng.choice(["the", "this", "their"]), rng.choice(["food", "film", "phone", "service"]), rng.choice(["was", "is"])
        middle = [rng.choice(["really", "so", "quite", "just"]) for _ in range(rng.randrange(4))]
        judgement = rng.choice(judgements[label ^ len(negations) % 2])
        found.append((" ".join([*start, *negations, *middle, judgement, *rng.choice([[], ["overall"], ["to", "me"]])]), label))
    return found


def load(folder, rng):
    """Shuffled pairs of a sentence and its label."""
    if folder is None:
        return make_up(2000, rng)
    lines = [line for file in find(folder, "*_labelled.txt") for line in file.read_text(encoding="utf-8").split("\n")]
    pairs = [line.rsplit("\t", 1) for line in lines if line.strip()]
    if not pairs:
        raise SystemExit(f"no sentences in the *_labelled.txt of {folder}")
    rng.shuffle(pairs)
    return [(sentence, int(label)) for sentence, label in pairs]


def split(sentence):
    return re.findall(r"[a-z]+(?='t)|'t|[a-z]+|[!?]", sentence.lower()) or ["?"]


def collate(batch):
    """Sentences padded to the longest, their lengths and their labels."""
    sentences, labels = zip(*batch, strict=True)
    return pad_sequence(sentences, batch_first=True), torch.tensor([len(s) for s in sentences]), torch.tensor(labels)


def hide(sentences, share):
    """Some words replaced by the unknown one, so that no single word decides."""
    hidden = (torch.rand(sentences.shape) < share) & (sentences != 0)
    return sentences.masked_fill(hidden, UNKNOWN)


def evaluate(model, loader):
    """Share of sentences that the model is right about."""
    model.eval()
    with torch.no_grad():
        right = sum(((model(sentences, lengths) > 0) == labels).sum().item() for sentences, lengths, labels in loader)
    model.train()
    return right / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", metavar="DIR", help="folder of UCI's labelled sentences (default: made up)")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    pairs = load(options.data, random.Random(options.seed))
    count = len(pairs) * 4 // 5
    seen = Counter(word for sentence, _ in pairs[:count] for word in split(sentence))
    numbers = {word: n for n, word in enumerate((w for w, times in seen.items() if times > 1), start=2)}
    data = [(torch.tensor([numbers.get(word, UNKNOWN) for word in split(sentence)]), label) for sentence, label in pairs]
    loader = DataLoader(data[:count], options.batch_size, shuffle=True, collate_fn=collate)
    test_loader = DataLoader(data[count:], 128, collate_fn=collate)

    model = Sentiment(len(numbers) + 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    print(f"{count} training and {len(data) - count} test sentences, {len(numbers)} words")
    start = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        total = 0.0
        for sentences, lengths, labels in loader:
            optimizer.zero_grad()
            loss = F.binary_cross_entropy_with_logits(model(hide(sentences, 0.1), lengths), labels.float())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() * len(labels)
        scheduler.step()
        accuracy = evaluate(model, test_loader)
        print(f"epoch {epoch:2d}  {time.perf_counter() - start:5.1f} s  loss {total / count:.4f}  test accuracy {accuracy:.2%}", flush=True)
    print(f"test accuracy {accuracy:.2%}")


if __name__ == "__main__":
    main()
