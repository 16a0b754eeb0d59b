"""Adam: Kingma and Ba, arXiv:1412.6980."""
import numpy as np


class Adam:
    def __init__(self, weights, rate):
        self.weights, self.rate, self.t = weights, rate, 0
        self.mean = {n: np.zeros_like(w) for n, w in weights.items()}
        self.square = {n: np.zeros_like(w) for n, w in weights.items()}

    def step(self, gradients):
        self.t += 1
        for name, w in self.weights.items():
            g, m, v = gradients[name], self.mean[name], self.square[name]
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            w -= self.rate * (m / (1 - 0.9 ** self.t)) / (np.sqrt(v / (1 - 0.999 ** self.t)) + 1e-8)
