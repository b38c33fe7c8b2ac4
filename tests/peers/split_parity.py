"""The train/valid split against NumPy's default_rng(seed).permutation and Python's round.

    python split_parity.py PATH/TO/numbers-probe
"""
import numpy as np

from probe import ask, finish

SIZES = [1, 2, 3, 4, 5, 31, 32, 33, 635, 2490, 3668, 5749, 8551, 65536, 65537, 67349, 104743, 363846, 392702]
SEEDS = [1] * len(SIZES) + [0, 2, 42, 4294967295]
permutations = list(zip(SEEDS, SIZES + [1000] * 4))
counts = [(fraction, n) for fraction in (0.1, 0.05, 0.25, 0.5, 0.15) for n in list(range(1, 400)) + SIZES]

answers = ask([f"split {seed} {n}" for seed, n in permutations] + [f"count {f!r} {n}" for f, n in counts])
differences = []
for (seed, n), answer in zip(permutations, answers):
    expected = np.random.default_rng(seed).permutation(n)
    if not np.array_equal(np.array(answer, dtype=np.int64), expected):
        differences.append(f"permutation of {n}, seed {seed}")
for (fraction, n), answer in zip(counts, answers[len(permutations):]):
    if int(answer[0]) != round(fraction * n):
        differences.append(f"round({fraction} * {n}): {answer[0]}, expected {round(fraction * n)}")
finish("split", len(permutations) + len(counts), differences)
