"""Binary classification: a sigmoid output and BCELoss, on points labelled by the sign of a product."""

import numgrad as torch
import numgrad.nn as nn

torch.manual_seed(0)
inputs = torch.randn(256, 10)
labels = (inputs[:, 0:1] * 2 + inputs[:, 1:2] > 0).float()

# 定义一个简单的神经网络
class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(10, 20)
        self.fc2 = nn.Linear(20, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.sigmoid(self.fc2(x))
        return x

# 创建模型实例
model = Net()

# 定义损失函数和优化器
criterion = nn.BCELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

# 训练循环
for epoch in range(100):
    # 前向传播
    outputs = model(inputs)
    loss = criterion(outputs, labels)

    # 反向传播和参数更新
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

    if epoch in (0, 99):
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}")
