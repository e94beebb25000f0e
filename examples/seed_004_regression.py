"""Regression with mean squared error, on a linear function of ten inputs."""

import numgrad as torch
import numgrad.nn as nn
import numgrad.optim as optim

torch.manual_seed(0)
inputs = torch.randn(256, 10)
targets = inputs @ torch.linspace(-1, 1, 10).unsqueeze(1)

# 定义网络结构
class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(10, 20)
        self.fc2 = nn.Linear(20, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = self.fc2(x)
        return x

# 创建模型实例
model = Net()

# 定义损失函数和优化器
criterion = nn.MSELoss()
optimizer = optim.SGD(model.parameters(), lr=0.01)

# 训练模型
for epoch in range(100):
    # 前向传播
    outputs = model(inputs)
    loss = criterion(outputs, targets)

    # 反向传播
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

    # 打印损失值
    print(f'Epoch [{epoch+1}/100], Loss: {loss.item():.4f}')
