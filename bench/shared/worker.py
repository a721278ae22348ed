"""A Python process of its own, without R, in which peers run and are timed (`peer()` in peers.R).

Started with the name of a module of peers. Each line of its input holds, apart by tabs: a function
of the module or, once one was made, a method of the object that `make` made; a pickle of its
arguments; and a file for its value, or nothing. It answers with the seconds that the call took, by the clock and of
the CPU.
"""

import importlib
import os
import pickle
import sys
import time
import traceback


def called(target, arguments, keep):
    """Both seconds of a call, and its value, which goes to a file where one is named."""
    with open(arguments, "rb") as file:
        given = pickle.load(file)
    start, cpu = time.perf_counter(), time.process_time()
    value = target(*given)
    seconds = time.perf_counter() - start, time.process_time() - cpu
    if keep:
        with open(keep, "wb") as file:
            pickle.dump(value, file)
    return seconds, value


def main(name):
    """Serve until the input ends."""
    # what peers print would get among the answers
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    target = module = importlib.import_module(name)
    print("ready", file=answers)
    for line in sys.stdin:
        what, name, arguments, keep = line.rstrip("\n").split("\t")
        try:
            function = getattr(target, name, None) or getattr(module, name)
            seconds, value = called(function, arguments, keep)
            if what == "make":
                target = value
            print(*seconds, file=answers)
        except Exception:
            traceback.print_exc()
            print("failed", file=answers)


if __name__ == "__main__":
    main(sys.argv[1])
