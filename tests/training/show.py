"""A progress bar and a curve, in text."""
import math
import sys


def progress(done, total, text):
    """Redraws one line on a terminal; elsewhere says nothing but the last."""
    if not sys.stderr.isatty() and done < total:
        return
    filled = 30 * done // total
    print(f"\r[{'#' * filled}{'.' * (30 - filled)}] {done}/{total}  {text} ", end="" if done < total else "\n", file=sys.stderr, flush=True)


def curve(values, name, width=64, height=12):
    """The values from the first to the last, on a logarithmic scale."""
    logs = [math.log10(max(v, 1e-30)) for v in values]
    means = [sum(part) / len(part) for part in (logs[i * len(logs) // width:(i + 1) * len(logs) // width] for i in range(width))]
    high, low = max(means), min(means)
    step = (high - low) / (height - 1) or 1
    for row in range(height):
        level = high - row * step
        marks = "".join("*" if round((high - m) / step) == row else " " for m in means)
        print(f"{10 ** level:9.1e} |{marks.rstrip()}")
    print(f"{name:>9} +{'-' * width} {len(values)} steps")
