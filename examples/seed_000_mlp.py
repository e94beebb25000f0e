"""A network of three linear layers learns to read handwritten digits.

By default on the digits numgrad carries with it, enlarged to 28x28; `--data DIR` reads MNIST's files in DIR.
"""

import argparse

import numgrad as torch
import numgrad.nn as nn
from numgrad.vision import datasets, transforms

parser = argparse.ArgumentParser()
parser.add_argument("--data", metavar="DIR", help="folder of MNIST's files (default: the embedded digits)")
parser.add_argument("--epochs", type=int, default=10)
options = parser.parse_args()

torch.manual_seed(0)


def dataset(train):
    if options.data:
        return datasets.MNIST(options.data, train=train, transform=transforms.ToTensor())
    enlarge = transforms.Compose([lambda image: (image * 15.9375).astype("uint8"), transforms.ToTensor(), transforms.Resize((28, 28))])
    return datasets.Digits(train=train, transform=enlarge)


def flat_loader(data, shuffle):
    """All images once through the transform, as rows of 784."""
    images = torch.stack([image for image, _ in data]).flatten(1)
    labels = torch.tensor([label for _, label in data])
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=64, shuffle=shuffle)


train_loader = flat_loader(dataset(True), True)
test_loader = flat_loader(dataset(False), False)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 64)
        self.fc3 = nn.Linear(64, 10)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        x = self.fc3(x)
        return x

net = Net()

criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.001)

for epoch in range(options.epochs):
    for data, target in train_loader:
        optimizer.zero_grad()
        output = net(data)
        loss = criterion(output, target)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        correct = sum((net(data).argmax(1) == target).sum().item() for data, target in test_loader)
    print(f"epoch {epoch + 1}: test accuracy {100 * correct / len(test_loader.dataset):.2f} %")
