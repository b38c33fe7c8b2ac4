"""The reference's train/valid split against NumPy's default_rng(seed).permutation and Python's round, and the classes' shares of the
default split against scikit-learn's train_test_split(stratify=…).

    python split_parity.py PATH/TO/numbers-probe

Of classes with equal remainders scikit-learn draws who gives one more: there the number of them counts, not which.
"""
import numpy as np
from sklearn.model_selection import train_test_split

from probe import ask, finish

SIZES = [1, 2, 3, 4, 5, 31, 32, 33, 635, 2490, 3668, 5749, 8551, 65536, 65537, 67349, 104743, 363846, 392702]
SEEDS = [1] * len(SIZES) + [0, 2, 42, 4294967295]
random = np.random.default_rng(3)
permutations = list(zip(SEEDS, SIZES + [1000] * 4))
counts = [(fraction, n) for fraction in (0.1, 0.05, 0.25, 0.5, 0.15) for n in list(range(1, 400)) + SIZES]
stratified = []
while len(stratified) < 400:
    classes = random.integers(2, 12, len(stratified) % 40 + 2) if len(stratified) % 2 else random.integers(2, 400, len(stratified) % 7 + 2)
    valid = round(float(random.choice([0.1, 0.2, 0.25, 0.5])) * int(classes.sum()))
    if len(classes) <= valid <= classes.sum() - len(classes):  # scikit-learn wants one of each on both sides
        stratified.append((valid, classes))

answers = ask([f"split {seed} {n}" for seed, n in permutations] + [f"count {f!r} {n}" for f, n in counts]
              + [f"quotas {valid} {len(c)} {' '.join(map(str, c))}" for valid, c in stratified])
differences = []
for (seed, n), answer in zip(permutations, answers):
    expected = np.random.default_rng(seed).permutation(n)
    if not np.array_equal(np.array(answer, dtype=np.int64), expected):
        differences.append(f"permutation of {n}, seed {seed}")
for (fraction, n), answer in zip(counts, answers[len(permutations):]):
    if int(answer[0]) != round(fraction * n):
        differences.append(f"round({fraction} * {n}): {answer[0]}, expected {round(fraction * n)}")
for (valid, classes), answer in zip(stratified, answers[len(permutations) + len(counts):]):
    labels = np.repeat(np.arange(len(classes)), classes)
    held_out = train_test_split(labels, test_size=valid, stratify=labels, random_state=1)[1]
    theirs, ours = np.bincount(held_out, minlength=len(classes)), np.array(answer, dtype=np.int64)
    remainders = valid * classes % classes.sum()
    differing = remainders[theirs != ours]
    if theirs.sum() != ours.sum() or len(set(differing.tolist())) > 1:
        differences.append(f"{valid} of {classes.tolist()}: {ours.tolist()}, scikit-learn {theirs.tolist()}")
finish("split", len(permutations) + len(counts) + len(stratified), differences)
