"""The next event of a Hawkes process, learned by attention with and without the events' times.

    PYTHONPATH=build/python python3 tests/training/hawkes.py [SEED [STEPS]]

Events of type 0 come at random, and each raises the rate of type 1 for a short while (some four of them follow) and
that of type 2 for a long one (some two). The types so far say what was raised, only their times say what still is.
hawkes.lua learns the order alone, with Bochner's map of the times and with Mercer's (arXiv:1911.12864). The status is 0
where on sequences that were not learned from both maps win a third of what there is to win: between the order alone and
the process itself, whose rates give the best prediction there can be.
"""
import os
import re
import sys

import numpy as np

import gram
from adam import Adam
from show import curve, progress

SPEC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hawkes.lua")
TYPES, LENGTH, LEARNED, HELD_OUT, BATCH, RATE = 3, 48, 600, 200, 50, 0.01
BASE = np.array([0.05, 0.001, 0.001])                           # a type's rate when nothing raised it
JUMP = np.array([[0, 20, 0.6], [0, 0, 0], [0, 0, 0]])           # how much an event of a type (row) raises that of another
DECAY = np.array([1, 5, 0.3])                                   # and how fast this falls again
MAPS = ["the order alone", "Bochner's map of times", "Mercer's map of times"]
SPANS = np.concatenate([[0], np.geomspace(1e-3, 400, 300)])     # to integrate over the time of the next event


def next_types(raised):
    """The probabilities of the next event's type, given what the rates are above the base now."""
    middle, width = (SPANS[1:] + SPANS[:-1]) / 2, np.diff(SPANS)
    rates = BASE + raised * np.exp(-middle[:, None] * DECAY)
    total = rates.sum(1) * width
    none_before = np.exp(-np.concatenate([[0], np.cumsum(total)[:-1]]))
    found = (rates * (none_before * (1 - np.exp(-total)) / total * width)[:, None]).sum(0)
    return found / found.sum()


def sequence(rng):
    """Types, times from the first event on, and the process's own cross entropy of each type (Ogata's thinning)."""
    raised, now, types, times, best = np.zeros(TYPES), 0.0, [], [], []
    while len(types) <= LENGTH:
        predicted = next_types(raised)
        while True:
            bound = (BASE + raised).sum()
            span = rng.exponential(1 / bound)
            now += span
            raised = raised * np.exp(-DECAY * span)
            rates = BASE + raised
            if rng.random() * bound <= rates.sum():
                break
        types.append(rng.choice(TYPES, p=rates / rates.sum()))
        times.append(now)
        best.append(-np.log(predicted[types[-1]]))
        raised = raised + JUMP[types[-1]]
    return types, np.array(times) - times[0], best


def data(rng, count):
    types, times, best = (np.array(part) for part in zip(*(sequence(rng) for _ in range(count))))
    given = {"event": types[:, :-1].astype("i4"), "following": types[:, 1:].astype("i4"), "t": times[:, :-1].astype("f4")}
    return given, best[:, 1:].mean()


def start(k, given, rng):
    """Weights from a random start; frequencies and periods are spread over the spans there are."""
    weights = {}
    for port in (port for port in k.inputs if port.name not in given):
        shape = [int(size) for size in re.findall(r"\d+", port.shape)]
        weights[port.name] = np.array(rng.normal(size=shape) / np.sqrt(shape[-1]), "f4")
    for name in ("log_omega", "log_period"):
        if name in weights:
            weights[name] = np.linspace(np.log(0.05), np.log(10), len(weights[name]), dtype="f4")
    return weights


def learn(which, learned, held_out, steps, seed):
    """The mean cross entropy of sequences held out, and the losses on the way."""
    rng = np.random.default_rng(seed)
    k = gram.load(SPEC, threads=1, set={"map": which, "types": TYPES, "length": LENGTH})
    weights, losses = start(k, learned, rng), []
    adam, share = Adam(weights, RATE), np.full((BATCH, LENGTH), 1 / (BATCH * LENGTH), "f4")
    for step in range(steps):
        adam.rate = RATE * min(1, 2 * (1 - step / steps))
        rows = rng.permutation(LEARNED)[:BATCH]
        batch = {name: array[rows] for name, array in learned.items()}
        losses.append(float(k(**batch, **weights)["loss"].mean()))
        adam.step(k.grad(**batch, **weights, dloss=share))
        progress(step + 1, steps, f"{MAPS[which]}: loss {losses[-1]:.3f}")
    return float(k(**held_out, **weights)["loss"].mean()), losses


def main(seed, steps):
    rng = np.random.default_rng(seed)
    learned, _ = data(rng, LEARNED)
    held_out, best = data(rng, HELD_OUT)
    order, losses = learn(0, learned, held_out, steps, seed)
    curve(losses, MAPS[0])
    errors = [order] + [learn(which, learned, held_out, steps, seed)[0] for which in (1, 2)]
    for name, error in zip(MAPS, errors):
        print(f"{name:<24} {error:.3f} nats an event")
    print(f"{'the process itself':<24} {best:.3f}")
    return 0 if max(errors[1:]) < order - (order - best) / 3 else 1


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:]] + [0, 400][len(sys.argv) - 1:]
    sys.exit(main(*arguments))
