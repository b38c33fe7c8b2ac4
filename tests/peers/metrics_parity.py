"""Metrics against scikit-learn and SciPy.

    python metrics_parity.py PATH/TO/numbers-probe

Both sides round a few operations per example in double: they may differ by 1e-12 where values are of order 1.
"""
import math
import warnings

import numpy as np
from scipy import stats
from sklearn import metrics

from probe import ask, finish

warnings.filterwarnings("ignore")  # scores that are undefined are part of the cases
TOLERANCE = 1e-12
random = np.random.default_rng(5)


def near(ours, theirs):
    return math.isnan(ours) and math.isnan(theirs) or abs(ours - theirs) <= TOLERANCE * max(1.0, abs(theirs))


def classification_cases():
    for classes in (2, 3, 5, 25, 400):
        for count in (1, 2, 7, 100, 3000):
            for skill in (0.0, 0.6, 1.0):
                truth = random.integers(0, classes, count)
                predicted = np.where(random.random(count) < skill, truth, random.integers(0, classes, count))
                yield classes, truth, predicted
            yield classes, random.integers(0, classes, count), np.full(count, classes - 1)
            yield classes, np.zeros(count, int), random.integers(0, classes, count)
            yield classes, np.zeros(count, int), np.zeros(count, int)


def regression_cases():
    for count in (2, 3, 10, 1500):
        x = random.normal(size=count)
        yield x, x + random.normal(size=count)
        yield x, -3 * x
        yield np.round(2 * x) / 2, np.round(x + random.normal(size=count))  # ties
        yield np.clip(np.round(5 * random.random(count), 1), 0, 5), 2.5 + x
        yield x * 1e200, x + 1e3 * random.random(count)
        yield x * 1e-200, x ** 3
        yield x, np.full(count, 0.3)


def expected_scores(classes, truth, predicted):
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, predicted, labels=range(classes), zero_division=0)
    scores = [metrics.accuracy_score(truth, predicted),
              metrics.f1_score(truth, predicted, labels=[0, 1], pos_label=1, zero_division=0) if classes == 2 else math.nan,
              metrics.f1_score(truth, predicted, average="macro", zero_division=0),
              metrics.matthews_corrcoef(truth, predicted)]
    for c in range(classes):
        scores += [precision[c], recall[c], f1[c], support[c]]
    return scores


def join(values):
    return " ".join(repr(value) for value in np.asarray(values).tolist())


requests, expected = [], []
for classes, truth, predicted in classification_cases():
    requests.append(f"classes {classes} {len(truth)} {join(truth)} {join(predicted)}")
    expected.append(expected_scores(classes, truth, predicted))
for truth, predicted in regression_cases():
    requests.append(f"regression {len(truth)} {join(truth)} {join(predicted)}")
    expected.append([stats.pearsonr(truth, predicted)[0], stats.spearmanr(truth, predicted)[0]])

differences = []
for request, answer, scores in zip(requests, ask(requests), expected):
    for place, (ours, theirs) in enumerate(zip(map(float, answer), scores, strict=True)):
        if not near(ours, float(theirs)):
            differences.append(f"{request[:60]}…, score {place}: {ours!r}, expected {float(theirs)!r}")
finish("metrics", len(requests), differences)
