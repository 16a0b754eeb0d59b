"""Puts the table that make bench printed into README.md: readme.py TABLE README.md. Of the random formulas the slowest
of each back end stand for all."""
import re
import sys

START, END = "<!-- make bench -->\n", "<!-- /make bench -->"


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def cpu():
    with open("/proc/cpuinfo") as file:
        info = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in info.items()}
    widths = [name for name in ("avx512f", "avx2") if name in fields.get("flags", "").split()]
    return f"{fields.get('model name', 'unknown')}, {widths[0] if widths else 'generic vectors'}"


def chosen(lines):
    """All but the random formulas, and of those the one with the least ratio for each back end."""
    slowest = {}
    for line in lines:
        if line.startswith("| random formula") and (key := cells(line)[2]) is not None:
            if key not in slowest or float(cells(line)[8]) < float(cells(slowest[key])[8]):
                slowest[key] = line
    return [re.sub(r"^\| random formula \d+", "| 20 random formulas, the slowest", line) for line in lines
            if not line.startswith("| random formula") or line in slowest.values()]


def main():
    with open(sys.argv[1]) as file:
        lines = file.read().splitlines()
    table = "\n".join(chosen([line for line in lines if line.startswith("|")]))
    most = next((", " + line[len("A core does "):-1] for line in lines if line.startswith("A core does ")), "")
    with open(sys.argv[2]) as file:
        text = file.read()
    head, rest = text.split(START, 1)
    text = f"{head}{START}{cpu()}{most}:\n\n{table}\n{END}{rest.split(END, 1)[1]}"
    with open(sys.argv[2], "w") as file:
        file.write(text)


main()
