"""Your own op: a kernel, its gradient, and the property test that proves the gradient.

The op is log(cosh(x)), a loss that is quadratic near zero and linear far away, in a form that does not overflow.
"""

import math

import numpy as np

import numgrad
from numgrad.jit import empty, kernel, launch, prange
from numgrad.ops import op
from numgrad.testing import check_op


@kernel
def log_cosh_kernel(y, x):
    for i in prange(y.size):
        y[i] = abs(x[i]) + math.log1p(math.exp(-2 * abs(x[i]))) - math.log(2)


def forward(x):
    y = empty(x.shape, x.dtype)
    launch(log_cosh_kernel, y.reshape(-1), np.ascontiguousarray(x).reshape(-1))
    return y


log_cosh = op("log_cosh", forward, vjp=lambda g, x: g * x.tanh(), reference=lambda x: np.log(np.cosh(x)),
              sample=lambda draw: ((draw.array(draw.shape()),), {}))  # fmt: skip

if __name__ == "__main__":
    x = numgrad.linspace(-2, 2, 5, requires_grad=True)
    log_cosh(x).sum().backward()
    print(log_cosh(x), x.grad, sep="\n")
    check_op(log_cosh)
    print("value, gradient, second gradient, layouts and thread counts: proved")
