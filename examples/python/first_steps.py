"""The README's first five minutes: tensors, derivatives, a network, and a file."""

import numpy as np

import tenflowers as tf
from tenflowers import nn

# Tensors: PyTorch's names and rules, NumPy's arrays without a copy.
x = tf.tensor([[1.0, 2.0], [3.0, 4.0]])
print(x @ x.T + 1)
print(x.sum(dim=0), x[x > 2], x.to(tf.int64))
array = np.arange(3.0)
tf.from_numpy(array).mul_(2)
print(array)

# Derivatives, of any order.
w = tf.tensor([2.0, 3.0], requires_grad=True)
(w**3).sum().backward()
print(w.grad)
(first,) = tf.autograd.grad((w**3).sum(), w, create_graph=True)
(second,) = tf.autograd.grad(first.sum(), w)
print(second)

# A network that learns y = 3 a - 2 b.
tf.manual_seed(0)
inputs = tf.randn(64, 2)
targets = inputs @ tf.tensor([[3.0], [-2.0]])
model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = tf.optim.Adam(model.parameters(), lr=0.02)
for _ in range(200):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(inputs), targets)
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.4f}")

# Into a file and back.
tf.save(model.state_dict(), "model.safetensors")
model.load_state_dict(tf.load("model.safetensors"))
