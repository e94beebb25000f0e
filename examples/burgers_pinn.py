"""Solve Burgers' equation with a neural network (a PINN) and compare it with the exact solution.

u_t + u u_x = (0.01 / pi) u_xx for x in [-1, 1] and t in [0, 1], u(x, 0) = -sin(pi x), u(-1, t) = u(1, t) = 0: a smooth wave
that steepens to a shock at x = 0. The network never sees the solution: it is trained to obey the equation at random points,
first by Adam, then by L-BFGS (Raissi, Perdikaris & Karniadakis 2019), in float64, since the second derivatives of a steep
front amplify roundings. The values at the start and at both ends are right whatever its weights are (Lagaris, Likas & Fotiadis
1998). Every 500 iterations the points are drawn anew, more of them where the equation is obeyed least (Wu et al. 2023): few lie
in the shock otherwise, and which ones decides the error. The exact solution is that of Cole and Hopf, its two integrals by
Gauss-Hermite quadrature (Basdevant et al. 1986).

usage: python examples/burgers_pinn.py [--adam N] [--lbfgs N] [--points N] [--seed N] [--no-compile]
"""

import argparse
import math
import time
from itertools import pairwise

import numpy as np

import numgrad as torch
import numgrad.nn as nn

VISCOSITY = 0.01 / math.pi


class Network(nn.Module):
    """u(x, t): what it is at the start, and layers of tanh times what is 0 at the start and at the ends."""

    def __init__(self, width=20, depth=6):
        super().__init__()
        sizes = [2] + [width] * depth
        hidden = [layer for n, m in pairwise(sizes) for layer in (nn.Linear(n, m), nn.Tanh())]
        self.layers = nn.Sequential(*hidden, nn.Linear(width, 1))
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x, t):
        return t * (1 - x * x) * self.layers(torch.cat([x, t], 1)) - torch.sin(math.pi * x)


def residual(model, x, t):
    """How far the network is from obeying the equation at each point."""
    x, t = x.detach().requires_grad_(), t.detach().requires_grad_()
    u = model(x, t)
    u_x, u_t = torch.autograd.grad(u.sum(), (x, t), create_graph=True)
    u_xx = torch.autograd.grad(u_x.sum(), x, create_graph=True)[0]
    return u_t + u * u_x - VISCOSITY * u_xx


def draw(points):
    """Points anywhere in the domain."""
    return torch.rand(points, 1) * 2 - 1, torch.rand(points, 1)


def draw_anew(model, points, choice=20):
    """Put others in their place, of `choice` times as many: about half of them anywhere, half where the equation is obeyed least."""
    count = len(points[0])
    drawn = [draw(count) for _ in range(choice)]
    sizes = torch.cat([residual(model, *part).detach().abs().flatten() for part in drawn])
    chosen = torch.multinomial(sizes / sizes.mean() + 1, count)
    for old, new in zip(points, zip(*drawn, strict=True), strict=True):
        old.copy_(torch.cat(new)[chosen])


def exact(x, t, nodes=100):
    """u at all pairs of x and t > 0: a quotient of two integrals of Gauss's kind."""
    z, weight = np.polynomial.hermite.hermgauss(nodes)
    y = x[None, :, None] - np.sqrt(4 * VISCOSITY * t)[:, None, None] * z
    exponent = -np.cos(np.pi * y) / (2 * np.pi * VISCOSITY)
    f = weight * np.exp(exponent - exponent.max(-1, keepdims=True))
    return -(np.sin(np.pi * y) * f).sum(-1) / f.sum(-1)


def relative_error(model):
    """||network - exact|| / ||exact|| on a grid of 100 times and 256 places."""
    x, t = np.linspace(-1, 1, 256), np.linspace(0.01, 1, 100)
    wanted = exact(x, t)
    places = [torch.tensor(v.reshape(-1, 1), dtype=torch.float64) for v in np.broadcast_arrays(x[None, :], t[:, None])]
    with torch.no_grad():
        found = model(*places).reshape(100, 256).numpy()
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--adam", type=int, default=1000, metavar="N", help="steps of Adam")
    parser.add_argument("--lbfgs", type=int, default=3000, metavar="N", help="iterations of L-BFGS")
    parser.add_argument("--points", type=int, default=4000, help="points at which the equation is asked for")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-compile", action="store_true", help="run every operation on its own")
    options = parser.parse_args()

    torch.set_default_dtype(torch.float64)
    torch.manual_seed(options.seed)
    model = Network()
    points = draw(options.points)

    def loss_and_gradients():
        for parameter in model.parameters():
            parameter.grad = None
        loss = (residual(model, *points) ** 2).mean()
        loss.backward()
        return loss

    closure = torch.compile(loss_and_gradients, disable=options.no_compile)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    start = time.perf_counter()

    def report(name, count, loss):
        print(f"{name} {count:5d}  {time.perf_counter() - start:5.1f} s  loss {loss:.3e}  error {relative_error(model):.2%}", flush=True)

    for count in range(1, options.adam + 1):
        loss = optimizer.step(closure)
        if count % 500 == 0 or count == options.adam:
            report("Adam  ", count, loss.item())
    settings = {"max_iter": 250, "history_size": 50, "tolerance_grad": 0.0, "tolerance_change": 0.0, "line_search_fn": "strong_wolfe"}
    for count in range(250, options.lbfgs + 1, 250):
        if count % 500 == 250:
            draw_anew(model, points)
            optimizer = torch.optim.LBFGS(model.parameters(), **settings)  # the curvature it knew was that of other points
        optimizer.step(closure)  # returns the loss before its iterations
        report("L-BFGS", count, closure().item())
    print(f"relative L2 error {relative_error(model):.2%}")


if __name__ == "__main__":
    main()
