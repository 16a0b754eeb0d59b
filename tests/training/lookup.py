"""Look-up between datapoints: a task that no model of single rows can solve (arXiv:2106.02584, section 4.3).

    PYTHONPATH=build/python python3 tests/training/lookup.py [SEED [STEPS]]

Each table has twelve random rows with random labels, and each row once more, its label hidden: the only way to it is to
find the row's double and copy from there. specs/npt.lua learns it on ever new tables, with attention between datapoints
and without. The status is 0 where new tables are answered right by the one (at least 95%), the other is at chance,
answers do not change by a bit with what is under the masks, rows in another order give the same answers in that order,
and attributes in another order do not.
"""
import sys

import numpy as np

import npt
from show import curve

CLASSES, NUMBERS, ROWS, TABLES = 4, 3, 12, 32
OPTIONS = {"numbers": NUMBERS, "classes": CLASSES, "e": 8, "heads": 1, "depth": 2}


def tables(rng, count):
    """Pairs of rows in random order, the label of one of each pair hidden, and scored."""
    values = rng.standard_normal((count, ROWS, NUMBERS)).repeat(2, 1)
    label = rng.integers(0, CLASSES, (count, ROWS)).repeat(2, 1)
    hidden = np.tile([0, 1], (count, ROWS))
    order = rng.permuted(np.tile(np.arange(2 * ROWS), (count, 1)), axis=1)
    label, hidden = (np.take_along_axis(a, order, 1) for a in (label, hidden))
    return npt.table(np.take_along_axis(values, order[..., None], 1), label, hidden, scored=hidden)


def right(model, given):
    found = model.run(given)["O"].argmax(-1) == given["label"]
    return found[given["hidden"] == 1].mean()


def learn(between, steps, seed):
    rng = np.random.default_rng(seed)
    model = npt.Model({**OPTIONS, "between": between}, rng)
    losses = model.learn(lambda: tables(rng, TABLES), steps, 0.01, "rows and attributes" if between else "attributes alone")
    return model, losses


def main(seed, steps):
    rng = np.random.default_rng(seed + 1000)
    model, losses = learn(1, steps, seed)
    curve(losses, "loss")
    given = tables(rng, 50)
    score, alone = right(model, given), right(learn(0, steps // 4, seed)[0], given)

    outputs = model.run(given)
    other = {**given, "label": np.where(given["hidden"] == 1, (given["label"] + 1) % CLASSES, given["label"])}
    leaks = (model.run(other)["O"] != outputs["O"]).any()
    order = rng.permutation(2 * ROWS)
    moved = model.run({n: a[:, order] if a.ndim > 1 else a for n, a in given.items()})["O"]
    error = abs(moved - outputs["O"][:, order]).max() / abs(moved).max()
    turned = given["given"].reshape(*given["given"].shape[:2], NUMBERS, 2)[:, :, ::-1]
    change = abs(model.run({**given, "given": turned.reshape(given["given"].shape)})["O"] - outputs["O"]).max()

    print(f"hidden labels right     {score:7.1%}")
    print(f"attributes alone        {alone:7.1%}   (chance: {1 / CLASSES:.0%})")
    print(f"labels under the mask   {'change answers' if leaks else 'change nothing'}")
    print(f"rows in another order   off by {error:.1e}")
    print(f"attributes in another   off by {change:.1e}")
    same_where_it_should = not leaks and error < 1e-5 and change > 0.1
    return 0 if score >= 0.95 and abs(alone - 1 / CLASSES) < 0.08 and same_where_it_should else 1


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:]] + [0, 300][len(sys.argv) - 1:]
    sys.exit(main(*arguments))
