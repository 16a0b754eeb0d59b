"""Training of specs/npt.lua: a table as its inputs, weights from a random start, Adam."""
import os
import re

import numpy as np

import gram
from adam import Adam
from show import progress

SPEC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "specs", "npt.lua")
TABLE = ("given", "label", "hidden", "truth", "scored", "selected", "weight")


def table(values, label, hidden, scored, masked=None, selected=None, truth=None, weight=0.0):
    """What the spec is given: values [batch, n, numbers] as cells (value, mask bit); which labels are hidden and which
    of them count; which numbers are masked, and which count; the true numbers where the values given are not."""
    masked = np.zeros(values.shape) if masked is None else masked
    cells = np.stack([np.where(masked, 0, values), masked], -1)
    return {"given": cells.reshape(values.shape[:2] + (-1,)).astype("f4"), "label": label.astype("i4"),
            "hidden": hidden.astype("i4"), "scored": scored.astype("i4"),
            "truth": (values if truth is None else truth).astype("f4"), "weight": np.array(weight, "f4"),
            "selected": np.zeros(values.shape, "i4") if selected is None else selected.astype("i4")}


class Model:
    def __init__(self, options, rng):
        self.kernel = gram.load(SPEC, threads=1, set={**options, "loss": 1})
        self.weights = {}
        for port in self.kernel.inputs:
            shape = [int(size) for size in re.findall(r"\d+", port.shape)]
            if port.name.endswith("gain"):
                self.weights[port.name] = np.ones(shape, "f4")
            elif port.name not in TABLE:
                self.weights[port.name] = np.array(rng.normal(size=shape) / np.sqrt(shape[-1]), "f4")
            if port.name.endswith("Wres"):  # near the identity: a block starts as a small change
                self.weights[port.name] = np.array(np.eye(shape[0]) + 0.1 * self.weights[port.name], "f4")

    def run(self, given):
        return self.kernel(**given, **self.weights)

    def learn(self, batches, steps, rate, name):
        """Steps of Adam, each on what batches() gives; gradients are clipped entry by entry, as the paper does. The
        losses."""
        adam, losses = Adam(self.weights, rate), []
        for step in range(steps):
            adam.rate = rate * min(1, 2 * (1 - step / steps), (step + 1) / 50)
            given = batches()
            loss = self.run(given)["loss"]
            losses.append(float(loss.mean()))
            gradients = self.kernel.grad(**given, **self.weights, dloss=np.full(loss.shape, 1 / loss.size, "f4"))
            adam.step({n: np.clip(g, -1, 1) for n, g in gradients.items() if n in self.weights})
            progress(step + 1, steps, f"{name}: loss {losses[-1]:.3f}")
        return losses
