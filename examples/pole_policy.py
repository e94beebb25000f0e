"""Teach a policy to balance a pole on a cart, by the policy gradient with a learned baseline (Williams 1992).

The cart and its pole are those of Barto, Sutton and Anderson (1983): every fiftieth of a second the cart is pushed left or
right, and an episode ends when the pole leans over 12 degrees, the cart leaves its track, or 500 pushes are survived.

usage: python examples/pole_policy.py [--updates N] [--carts N] [--seed N] [--no-compile]
"""

import argparse
import math
import time

import numpy as np

import numgrad
import numgrad.nn as nn
from numgrad.distributions import Categorical

LONGEST = 500


class Poles:
    """Several carts at once: `states` has position, speed, angle and angular speed of each."""

    gravity, cart, pole, half_length, force, seconds = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02

    def __init__(self, count, seed):
        self.random, self.count = np.random.default_rng(seed), count

    def reset(self):
        """All carts near the middle, their poles nearly upright."""
        self.states = self.random.uniform(-0.05, 0.05, (self.count, 4)).astype(np.float32)
        return self.states

    def push(self, actions):
        """Push each cart left (0) or right (1); the new states, and which poles still stand."""
        _, speed, angle, turn = self.states.T
        force = np.where(actions == 1, self.force, -self.force)
        sine, cosine, total = np.sin(angle), np.cos(angle), self.cart + self.pole
        push = (force + self.pole * self.half_length * turn**2 * sine) / total
        fall = (self.gravity * sine - cosine * push) / (self.half_length * (4 / 3 - self.pole * cosine**2 / total))
        slide = push - self.pole * self.half_length * fall * cosine / total
        moves = np.stack([speed, slide, turn, fall], axis=1)
        self.states = (self.states + self.seconds * moves).astype(np.float32)
        return self.states, (np.abs(self.states[:, 0]) < 2.4) & (np.abs(self.states[:, 2]) < math.radians(12))


class Agent(nn.Module):
    """Scores of the two pushes, and the return to be expected."""

    def __init__(self, width=64):
        super().__init__()
        self.policy = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 2))
        self.value = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 1))


def play(agent, poles):
    """One episode of every cart: states, actions, and which steps were played; padded to the longest there is."""
    states = numgrad.zeros(LONGEST, poles.count, 4)
    actions = numgrad.zeros(LONGEST, poles.count, dtype=numgrad.int64)
    played = numgrad.zeros(LONGEST, poles.count)
    now, alive = numgrad.from_numpy(poles.reset()), np.ones(poles.count, bool)
    with numgrad.no_grad():
        for step in range(LONGEST):
            action = Categorical(logits=agent.policy(now)).sample()
            states[step], actions[step], played[step] = now, action, numgrad.from_numpy(alive.astype(np.float32))
            after, stands = poles.push(action.numpy())
            now, alive = numgrad.from_numpy(after), alive & stands
            if not alive.any():
                break
    return states, actions, played


def returns_of(played, discount=0.99):
    """What each step was worth: the discounted sum of the ones that follow it."""
    found, following = numgrad.zeros_like(played), numgrad.zeros(played.shape[1])
    for step in reversed(range(LONGEST)):
        following = played[step] * (1 + discount * following)
        found[step] = following
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--carts", type=int, default=16, help="episodes an update")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", metavar="DIR", help="not needed: the poles are simulated")
    parser.add_argument("--no-compile", action="store_true", help="run every operation on its own")
    options = parser.parse_args()

    numgrad.manual_seed(options.seed)
    agent, poles = Agent(), Poles(options.carts, options.seed)
    optimizer = numgrad.optim.Adam(agent.parameters(), lr=0.01)

    def update(states, actions, played, returns):
        expected = agent.value(states).squeeze(-1) * 100
        surprise = (returns - expected.detach()) * played
        count = played.sum()
        mean = surprise.sum() / count
        spread = (((surprise - mean) * played).square().sum() / count).sqrt() + 1e-6
        choices = Categorical(logits=agent.policy(states))
        gain = (choices.log_prob(actions) * (surprise - mean) / spread * played).sum() / count
        error = ((expected - returns) / 100 * played).square().sum() / count
        optimizer.zero_grad()
        (error - gain - 0.01 * (choices.entropy() * played).sum() / count).backward()
        nn.utils.clip_grad_norm_(agent.parameters(), 1.0)
        optimizer.step()

    step = update if options.no_compile else numgrad.compile(update)
    start, lengths = time.perf_counter(), []
    for number in range(1, options.updates + 1):
        states, actions, played = play(agent, poles)
        step(states, actions, played, returns_of(played))
        lengths += played.sum(0).tolist()
        if number % 10 == 0:
            print(f"update {number:4d}  {time.perf_counter() - start:6.1f} s  mean of the last 100 episodes {np.mean(lengths[-100:]):.1f} pushes", flush=True)
    print(f"mean return of the last 100 episodes {np.mean(lengths[-100:]):.1f} of {LONGEST}")


if __name__ == "__main__":
    main()
