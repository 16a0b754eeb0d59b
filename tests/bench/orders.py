"""Orders 2, 4 and 8 of eq. (3.2) at n = 4,096, k = 64: one cost, since every order is one product Y'MY. The best of ten
runs each, alternating, in processor time of one thread; more than 10% apart is a failure.

    python3 tests/bench/orders.py [tcc|cc]
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "lib"))
from arrays import load, random_arrays  # noqa: E402
from command import Tally  # noqa: E402

ORDERS = (2, 4, 8)


def main():
    tally = Tally()
    kernels = {order: load(f"order{order}", threads=1, jit=(sys.argv[1:] or ["cc"])[0]) for order in ORDERS}
    arrays = {order: random_arrays(kernel, {"batch": 1, "n": 4096}) for order, kernel in kernels.items()}
    best = dict.fromkeys(ORDERS, float("inf"))
    for _ in range(10):
        for order, kernel in kernels.items():
            start = time.process_time()
            kernel(**arrays[order])
            best[order] = min(best[order], time.process_time() - start)
    for order, seconds in best.items():
        print(f"order {order} {1e3 * seconds:8.2f} ms")
    apart = max(best.values()) / min(best.values()) - 1
    tally.expect(apart <= 0.1, f"orders are {100 * apart:.1f}% apart")
    tally.end()


main()
