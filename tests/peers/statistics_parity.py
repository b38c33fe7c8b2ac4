"""Means, deviations, intervals, Student's distribution and the paired t-test against SciPy; tests of equivalence and Holm's correction
against statsmodels.

    python statistics_parity.py PATH/TO/numbers-probe

p is compared relatively, down to 1e-280: SciPy and we take it from different expansions in double, and with a million degrees of
freedom some digits go in either.
"""
import math
import warnings

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from probe import ask, finish

warnings.filterwarnings("ignore")  # SciPy warns of the cases that are degenerate on purpose
random = np.random.default_rng(11)


def near(ours, theirs, tolerance):
    if math.isnan(theirs) or math.isinf(theirs):
        return ours == theirs or math.isnan(ours) and math.isnan(theirs)
    return abs(ours - theirs) <= tolerance * abs(theirs) + 1e-290


def join(values):
    return " ".join(repr(value) for value in np.asarray(values, dtype=float).tolist())


requests, expected, tolerances = [], [], []


def add(request, values, tolerance):
    requests.append(request)
    expected.append([float(value) for value in values])
    tolerances.append(tolerance)


for freedom in (1, 2, 3, 4, 7, 10, 29.5, 100, 276, 1000, 1042.5, 1e4, 1e6):
    for t in (0, 1e-12, 1e-6, 1e-3, 0.1, 0.5, 0.9, 1, 1.5, 2, 3, 5, 8, 12, 20, 35, 60, 1e3, 1e6, math.inf):
        for sign in (1, -1):
            # Twice the tail; SciPy's sf keeps its digits there.
            add(f"student {sign * t!r} {freedom!r}", [2 * stats.t.sf(t, freedom)], 1e-10)

for count in (1, 2, 3, 5, 30, 1043):
    values = random.normal(3, 2, count)
    add(f"sample {count} {join(values)}", [np.mean(values), np.std(values, ddof=1) if count > 1 else math.nan], 1e-12)

for count in (2, 3, 5, 30, 277, 1043):
    for shift in (0, 0.05, 1, 30):
        a = random.normal(0, 1, count)
        b = a + shift + random.normal(0, 0.5, count)
        t, p = stats.ttest_rel(a, b)
        add(f"paired {count} {join(a)} {join(b)}", [np.mean(a - b), np.std(a - b, ddof=1), t, p], 1e-8)
    right = (random.random((2, count)) < 0.7).astype(float)  # examples right or wrong, as reports pair them
    right[:, 0] = (1, 0)  # at least one differs
    t, p = stats.ttest_rel(right[0], right[1])
    add(f"paired {count} {join(right[0])} {join(right[1])}",
        [np.mean(right[0] - right[1]), np.std(right[0] - right[1], ddof=1), t, p], 1e-8)

for count in (2, 3, 4, 10, 277):
    for level in (0.5, 0.9, 0.95, 0.999):
        values = random.normal(0.8, 0.02, count)
        low, high = stats.t.interval(level, count - 1, loc=np.mean(values), scale=stats.sem(values))
        add(f"interval {level} {count} {join(values)}", [low, high], 1e-9)
    for margin in (0.001, 0.01, 0.05):
        for shift in (-0.03, 0, 0.004, 0.2):
            a = random.normal(0.8, 0.01, count)
            b = a + shift + random.normal(0, 0.004, count)
            add(f"equivalence {margin} {count} {join(a)} {join(b)}", [ttost_paired(a, b, -margin, margin)[0]], 1e-8)
add("equivalence 0.01 1 0.5 0.5", [math.nan], 0)
add("equivalence 0.01 3 1 2 3 1 2 3", [math.nan], 0)
add("interval 0.95 1 0.5", [math.nan] * 2, 0)

for count in (1, 2, 5, 20):
    for scale in (0.001, 0.05, 1):
        p = random.random(count) * scale
        p[-1] = p[0]  # a tie
        add(f"holm {count} {join(p)}", multipletests(p, method="holm")[1], 1e-14)
        # Where there is no p, the others are the family.
        holes = np.insert(p, [0, count], math.nan)
        add(f"holm {count + 2} {join(holes)}", [math.nan, *multipletests(p, method="holm")[1], math.nan], 1e-14)

# Degenerate: one pair, none, no difference, and one difference for all, of which SciPy says p = 0 with a warning that the result is
# unreliable; here there is no p.
add("paired 0", [math.nan] * 4, 0)
add("paired 1 0.5 0.25", [0.25, math.nan, math.nan, math.nan], 0)
add("paired 3 1 2 3 1 2 3", [0, 0, math.nan, math.nan], 0)
add("paired 3 2 3 4 1 2 3", [1, 0, math.nan, math.nan], 0)
add("paired 2 0.5307 0.5307 0.5235 0.5235", [0.5307 - 0.5235, 0, math.nan, math.nan], 0)

differences = []
for request, answer, wanted, tolerance in zip(requests, ask(requests), expected, tolerances):
    for place, (ours, theirs) in enumerate(zip(map(float, answer), wanted, strict=True)):
        if not near(ours, theirs, tolerance):
            differences.append(f"{request[:60]}…, value {place}: {ours!r}, expected {theirs!r}")
finish("statistics", len(requests), differences)
