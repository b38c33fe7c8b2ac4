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


def label_cases():
    for labels in (1, 2, 6, 40):
        for count in (1, 5, 300):
            for share, skill in ((0.3, 0.5), (0.02, 0.9), (0.6, 1.0)):
                truth = (random.random((count, labels)) < share).astype(int)
                guess = (random.random((count, labels)) < share).astype(int)
                yield truth, np.where(random.random((count, labels)) < skill, truth, guess)
            yield np.zeros((count, labels), int), np.zeros((count, labels), int)


def expected_label_scores(truth, predicted):
    return [metrics.accuracy_score(truth, predicted),
            metrics.f1_score(truth, predicted, average="macro" if truth.shape[1] > 1 else "binary", zero_division=0),
            metrics.f1_score(truth, predicted, average="micro" if truth.shape[1] > 1 else "binary", zero_division=0),
            metrics.hamming_loss(truth, predicted)]


def expected_errors(truth, predicted):
    if np.abs([truth, predicted]).max() > 1e100:  # squares overflow
        return [None] * 3
    return [metrics.mean_absolute_error(truth, predicted), metrics.root_mean_squared_error(truth, predicted),
            metrics.r2_score(truth, predicted)]


def threshold_cases():
    for count in (1, 3, 20, 400):
        for share in (0.05, 0.3, 0.9):
            truth = random.random(count) < share
            yield truth, np.clip(0.5 * truth + random.random(count), 0, 1.5) / 1.5
            yield truth, np.round(random.random(count), 1)  # ties
            yield truth, random.random(count) * 1e-3


def best_f1(truth, probability):
    """The highest F1 of any threshold, by scikit-learn's curve."""
    precision, recall, _ = metrics.precision_recall_curve(truth, probability)
    both = precision + recall
    return float(np.max(np.where(both > 0, 2 * precision * recall / np.where(both > 0, both, 1), 0)))


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
    expected.append([stats.pearsonr(truth, predicted)[0], stats.spearmanr(truth, predicted)[0],
                     *expected_errors(truth, predicted)])
for outputs, count in ((1, 7), (3, 2), (5, 200)):
    truth, predicted = random.normal(size=(2, count, outputs))
    requests.append(f"outputs {outputs} {count} {join(truth.ravel())} {join(predicted.ravel())}")
    expected.append(expected_errors(truth, predicted))
for truth, predicted in label_cases():
    requests.append(f"labels {truth.shape[1]} {len(truth)} {join(np.hstack([truth, predicted]).ravel())}")
    expected.append(expected_label_scores(truth, predicted))

differences = []
for request, answer, scores in zip(requests, ask(requests), expected):
    for place, (ours, theirs) in enumerate(zip(map(float, answer), scores, strict=True)):
        if theirs is not None and not near(ours, float(theirs)):
            differences.append(f"{request[:60]}…, score {place}: {ours!r}, expected {float(theirs)!r}")

# A threshold is judged by the F1 that it gives; 0.5 where no example has the label.
cases = list(threshold_cases())
answers = ask([f"threshold {len(truth)} {join(truth.astype(int))} {join(probability)}" for truth, probability in cases])
for (truth, probability), answer in zip(cases, answers, strict=True):
    threshold = float(answer[0])
    found = metrics.f1_score(truth, probability >= threshold, zero_division=0)
    wanted = best_f1(truth, probability) if truth.any() else found
    if abs(found - wanted) > TOLERANCE or not truth.any() and threshold != 0.5:
        differences.append(f"threshold {threshold} of {len(truth)} examples gives F1 {found}, the best is {wanted}")
finish("metrics", len(requests) + len(cases), differences)
