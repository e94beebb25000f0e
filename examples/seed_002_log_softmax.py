"""A network that ends in log_softmax, trained with CrossEntropyLoss (which normalises once more, and changes nothing).

By default on the digits numgrad carries with it, enlarged to 28x28; `--data DIR` reads MNIST's files in DIR.
"""

import argparse

import numgrad as torch
import numgrad.nn as nn
import numgrad.optim as optim
from numgrad.vision import datasets, transforms

parser = argparse.ArgumentParser()
parser.add_argument("--data", metavar="DIR", help="folder of MNIST's files (default: the embedded digits)")
options = parser.parse_args()

torch.manual_seed(0)
if options.data:
    trainset = datasets.MNIST(options.data, train=True, transform=transforms.ToTensor())
else:
    enlarge = transforms.Compose([lambda image: (image * 15.9375).astype("uint8"), transforms.ToTensor(), transforms.Resize((28, 28))])
    trainset = datasets.Digits(train=True, transform=enlarge)
trainloader = torch.utils.data.DataLoader(trainset, batch_size=32, shuffle=True)

# 定义神经网络
class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        x = torch.flatten(x, 1)
        x = self.fc1(x)
        x = torch.relu(x)
        x = self.fc2(x)
        output = torch.log_softmax(x, dim=1)
        return output

# 初始化网络
net = Net()

# 定义损失函数和优化器
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

# 训练网络
for epoch in range(10):
    running_loss = 0.0
    for i, data in enumerate(trainloader, 0):
        inputs, labels = data
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print(f"Epoch {epoch+1}/{10}, Loss: {running_loss/len(trainloader)}")
