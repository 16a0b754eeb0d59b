"""Non-Parametric Transformers (arXiv:2106.02584) on scikit-learn's own tables.

    PYTHONPATH=build/python python3 tests/training/tables.py [SEED [STEPS]]

iris and wine, three tenths of their rows held out. A step hides each label to be learned with probability 0.5 (the
paper's stochastic target masking; labels held out are always hidden) and selects 15% of the numbers, a tenth of which
get a random value in place of the mask. The loss is (1 - w) the labels' cross entropy + w the selected numbers' squared
error, w falling from 1 to 0 as a cosine. Then the labels held out are read off, all others in sight. The status is 0
where no more than 5% fewer are right than of a logistic regression, and where numbers under masks change no bit of any
answer. Without scikit-learn nothing is learned.
"""
import sys

import numpy as np

import npt

NAMES, HELD_OUT, HIDDEN, SELECTED, RANDOM = ("iris", "wine"), 0.3, 0.5, 0.15, 0.1


def load(name, rng):
    """Standardised numbers, labels, and which rows are held out."""
    from sklearn import datasets
    data = getattr(datasets, "load_" + name)()
    order = rng.permutation(len(data.target))
    values, label = data.data[order], data.target[order]
    held_out = np.arange(len(label)) < HELD_OUT * len(label)
    learned = values[~held_out]
    return (values - learned.mean(0)) / learned.std(0), label, held_out


def masked_batch(values, label, held_out, weight, rng):
    """The table with cells masked and randomised; scored are the labels hidden among those to learn."""
    hidden = held_out | (rng.random(len(label)) < HIDDEN)
    selected = rng.random(values.shape) < SELECTED
    randomised = selected & (rng.random(values.shape) < RANDOM)
    seen = np.where(randomised, rng.standard_normal(values.shape), values)
    return npt.table(seen[None], label[None], hidden[None], (hidden & ~held_out)[None], (selected & ~randomised)[None],
                     selected[None], values[None], weight)


def baseline(values, label, held_out):
    from sklearn.linear_model import LogisticRegression
    model = LogisticRegression(max_iter=1000).fit(values[~held_out], label[~held_out])
    return (model.predict(values[held_out]) == label[held_out]).mean()


def leaks(model, given, rng):
    """Does any answer change with the values under masks?"""
    cells = given["given"].reshape(given["given"].shape[:2] + (-1, 2)).copy()
    masked = rng.random(cells.shape[:3]) < 0.3
    cells[..., 1] = masked
    answers = []
    for _ in range(2):
        cells[..., 0] = np.where(masked, rng.standard_normal(masked.shape), cells[..., 0])
        outputs = model.run({**given, "given": cells.reshape(given["given"].shape)})
        answers.append(np.concatenate([outputs["O"].ravel(), outputs["F"].ravel()]))
    return (answers[0] != answers[1]).any()


def learn(name, steps, seed):
    rng = np.random.default_rng(seed)
    values, label, held_out = load(name, rng)
    model = npt.Model({"numbers": values.shape[1], "classes": label.max() + 1, "e": 4, "heads": 2, "depth": 4}, rng)
    weights = iter(0.5 + 0.5 * np.cos(np.pi * np.arange(steps) / steps))
    model.learn(lambda: masked_batch(values, label, held_out, next(weights), rng), steps, 0.005, name)
    given = npt.table(values[None], label[None], held_out[None], held_out[None])
    answers = model.run(given)["O"][0].argmax(-1)
    score, plain = (answers == label)[held_out].mean(), baseline(values, label, held_out)
    leaking = leaks(model, given, rng)
    print(f"{name:<8} {score:6.1%} of {held_out.sum()} labels held out are right, by logistic regression {plain:6.1%}; "
          f"numbers under masks {'change answers' if leaking else 'change nothing'}")
    return score >= plain - 0.05 and not leaking


def main(seed, steps):
    try:
        import sklearn  # noqa: F401
    except ImportError:
        print("scikit-learn is not here (python3-sklearn): nothing to learn from")
        return 0
    return 0 if all([learn(name, steps, seed) for name in NAMES]) else 1


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:]] + [0, 300][len(sys.argv) - 1:]
    sys.exit(main(*arguments))
