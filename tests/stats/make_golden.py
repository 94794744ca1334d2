#!/usr/bin/env python3
"""Writes golden.json: inputs, and their scores by scikit-learn, SciPy and statsmodels."""

import json
import pathlib
import warnings

import numpy as np
from scipy import stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar

warnings.simplefilter("ignore")  # some cases have undefined scores
random = np.random.default_rng(20240521)


def label_case(name, gold, predicted):
    gold, predicted = list(map(int, gold)), list(map(int, predicted))
    classes = max(gold + predicted) + 1
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        gold, predicted, labels=range(classes), zero_division=0)
    is_one = lambda values: [int(v == 1) for v in values]
    return {
        "name": name, "gold": gold, "predicted": predicted, "classes": classes,
        "accuracy": metrics.accuracy_score(gold, predicted),
        "macro_f1": metrics.f1_score(gold, predicted, average="macro", zero_division=0),
        "f1": metrics.f1_score(is_one(gold), is_one(predicted), zero_division=0),
        "mcc": metrics.matthews_corrcoef(gold, predicted),
        "confusion": metrics.confusion_matrix(gold, predicted, labels=range(classes)).ravel().tolist(),
        "precision": precision.tolist(), "recall": recall.tolist(), "class_f1": f1.tolist(), "support": support.tolist(),
    }


def value_case(name, x, y):
    x, y = list(map(float, x)), list(map(float, y))
    line = stats.linregress(x, y)
    return {
        "name": name, "x": x, "y": y,
        "pearson": stats.pearsonr(x, y).statistic, "spearman": stats.spearmanr(x, y).statistic,
        "ranks": stats.rankdata(x).tolist(), # where SciPy's sum of squares underflows there is no line to compare with
        "line": [line.slope, line.intercept] if np.isfinite(line.slope) else None,
    }


def noisy(gold, classes, keep):
    return np.where(random.random(len(gold)) < keep, gold, random.integers(0, classes, len(gold)))


five = random.integers(0, 5, 40)
two = random.integers(0, 2, 37)
x = random.normal(size=31)
steps = np.round(random.random(35) * 25) / 5
probability = random.random((29, 3))
probability /= probability.sum(axis=1, keepdims=True)
gold3 = random.integers(0, 3, 29)
p1 = random.random(33)
gold2 = random.integers(0, 2, 33)

golden = {
    "labels": [
        label_case("five classes", five, noisy(five, 5, 0.5)),
        label_case("two classes", two, noisy(two, 2, 0.6)),
        label_case("a class never predicted, another never gold", [0, 1, 2, 2, 1, 0, 4], [0, 1, 1, 5, 1, 0, 0]),
        label_case("perfect", [0, 3, 1, 3], [0, 3, 1, 3]),
        label_case("constant predictions", [0, 1, 1, 0, 1], [1, 1, 1, 1, 1]),
        label_case("class 1 absent", [0, 2, 2, 0], [0, 0, 2, 2]),
        label_case("worse than chance", [0, 1, 0, 1, 1], [1, 0, 1, 0, 1]),
    ],
    "values": [
        value_case("noise around a line", x, 0.7 * x + random.normal(size=31)),
        value_case("ties on both sides", steps, np.round(steps + random.normal(size=35))),
        value_case("large offset", 1e6 + x, -3e5 * x + 2),
        value_case("tiny values", 1e-170 * x, x**3),
        value_case("two points", [1, 2], [5, 3]),
    ],
    "brier_binary": {"gold": gold2.tolist(), "probability": p1.tolist(), "score": metrics.brier_score_loss(gold2, p1)},
    "brier_classes": {"gold": gold3.tolist(), "probability": probability.ravel().tolist(), "classes": 3,
                      "score": metrics.brier_score_loss(gold3, probability, labels=[0, 1, 2], scale_by_half=False)},
    "mcnemar": [{"only_a": a, "only_b": b, "p_value": float(mcnemar([[0, a], [b, 0]], exact=a + b < 25).pvalue),
                 "statistic": float(mcnemar([[0, a], [b, 0]], exact=a + b < 25).statistic)}
                for a, b in [(0, 0), (0, 1), (5, 5), (3, 12), (0, 24), (11, 13), (10, 15), (40, 61), (130, 90), (0, 400)]],
    "percentiles": {"values": np.sort(x).tolist(), "q": [0.0, 0.025, 0.31, 0.5, 0.975, 1.0],
                    "result": np.quantile(np.sort(x), [0.0, 0.025, 0.31, 0.5, 0.975, 1.0]).tolist()},
}
with open(pathlib.Path(__file__).with_name("golden.json"), "w") as file:
    json.dump(golden, file, allow_nan=False)
    file.write("\n")
