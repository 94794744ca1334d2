"""Classifier and Regressor are estimators of scikit-learn."""
import pickle
import warnings

import numpy as np
import pytest

import minbert

pytest.importorskip("sklearn")
import joblib  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer  # noqa: E402

X = ["a fine film", "a dull film", "fine and good", "dull and bad"] * 6
Y = ["good", "bad"] * 12
FAST = {"epochs": 8, "lr": 1e-2, "batch": 4, "max_length": 16, "threads": 1}


@pytest.fixture(scope="session")
def classifier(tiny_run):
    return minbert.Classifier(tiny_run.folder, **FAST)


def test_it_learns(classifier):
    fitted = clone(classifier).fit(X, Y)
    assert fitted.classes_.tolist() == ["bad", "good"]
    assert fitted.score(X, Y) == 1.0
    assert fitted.predict(np.array(X[:2])).tolist() == Y[:2]
    probs = fitted.predict_proba(X)
    assert probs.shape == (24, 2) and np.allclose(probs.sum(axis=1), 1)
    assert (fitted.classes_[probs.argmax(axis=1)] == fitted.predict(X)).all()
    assert {"step"} <= {event["event"] for event in fitted.history_} and fitted.scores_ == {}


def test_what_those_checks_ask_of_matrices_holds_for_texts(classifier):
    texts, labels = list(X), list(Y)
    fitted = clone(classifier).fit(texts, labels)
    probs = fitted.predict_proba(X)
    assert (texts, labels) == (X, Y) and fitted.get_params() == classifier.get_params()
    assert np.array_equal(fitted.fit(X, Y).predict_proba(X), probs)
    assert np.array_equal(fitted.predict_proba(X[::-1])[::-1], probs)
    assert np.array_equal(np.concatenate([fitted.predict_proba([text]) for text in X]), probs)


def test_arguments_are_kept_as_they_came(classifier, tiny_run):
    assert classifier.get_params()["init"] is classifier.init and classifier.get_params()["lr"] == 1e-2
    assert clone(classifier).set_params(lr=1e-3).lr == 1e-3
    assert "epochs=8" in repr(classifier)
    with pytest.raises(NotFittedError):
        classifier.predict(X)


def test_labels_keep_their_kind(classifier):
    for labels in ([7, 3] * 12, [True, False] * 12, np.array(["x", "y"] * 12, dtype=object), ["none", " x "] * 12, ["nan", "none"] * 12):
        fitted = clone(classifier).set_params(epochs=1).fit(X, labels)
        assert fitted.classes_.tolist() == np.unique(labels).tolist()
        assert set(fitted.predict(X).tolist()) <= set(np.unique(labels).tolist())


def test_pairs_are_two_columns(classifier):
    pairs = np.array([[a, b] for a, b in zip(X, X[::-1])])
    fitted = clone(classifier).set_params(epochs=1).fit(pairs, Y)
    assert fitted.model_.task_info().is_pair and fitted.predict(pairs).shape == (24,)


def test_fitted_models_pickle_with_their_weights(classifier, tmp_path):
    fitted = clone(classifier).fit(X, Y)
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.predict_proba(X), fitted.predict_proba(X))
    joblib.dump(fitted, tmp_path / "model.joblib")
    wanted = fitted.predict_proba(X)
    del fitted
    assert np.array_equal(joblib.load(tmp_path / "model.joblib").predict_proba(X), wanted)
    copy.save(tmp_path / "folder")
    saved = minbert.load(tmp_path / "folder")
    assert saved.tasks == ["label"] and saved.predict(X) == copy.predict(X).tolist()


def test_searches_and_pipelines_take_it(classifier):
    search = GridSearchCV(clone(classifier), {"lr": [1e-2, 1e-6], "epochs": [2]}, cv=2).fit(X, Y)
    assert set(search.best_params_) == {"lr", "epochs"} and search.best_estimator_.predict(X[:1]).shape == (1,)
    assert cross_val_score(clone(classifier), X, Y, cv=2).shape == (2,)
    assert make_pipeline(FunctionTransformer(lambda texts: [text.upper() for text in texts]), clone(classifier)).fit(X, Y).score(X, Y) > 0.5


def test_regressor(tiny_run):
    y = np.array([2.0, -1.0] * 12)
    fitted = minbert.Regressor(tiny_run.folder, **FAST).fit(X, y)
    assert fitted.score(X, y) > 0.5 and fitted.predict(X).dtype == np.float64
    assert pickle.loads(pickle.dumps(fitted)).predict(X[:2]).tolist() == fitted.predict(X[:2]).tolist()


def test_what_cannot_be_trained_is_an_error(classifier):
    with pytest.raises(ValueError, match="one class"):
        clone(classifier).fit(X, ["good"] * 24)
    with pytest.raises(ValueError, match="expected 24 labels"):
        clone(classifier).fit(X, Y[:3])
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        clone(classifier).fit(X, np.linspace(0, 1, 24))
    with pytest.raises(ValueError, match="y is None"):
        clone(classifier).fit(X, None)
    with pytest.raises(ValueError, match=r"X\[0\]: expected a text"):
        clone(classifier).fit([[1.0], [2.0]], ["a", "b"])


# Checks of scikit-learn that cannot apply, because they fit or predict matrices of numbers, which are no texts. What they ask of the
# estimator is asked of texts in the tests above.
OF_NUMBERS = """
check_fit_score_takes_y check_estimators_overwrite_params check_dont_overwrite_parameters check_estimators_fit_returns_self
check_readonly_memmap_input check_n_features_in_after_fitting check_positive_only_tag_during_fit check_estimators_dtypes
check_dtype_object check_estimators_empty_data_messages check_pipeline_consistency check_estimators_nan_inf check_estimators_pickle
check_f_contiguous_array_estimator check_classifier_data_not_an_array check_regressor_data_not_an_array check_classifiers_classes
check_classifiers_train check_regressors_train check_supervised_y_2d check_regressors_int check_regressors_no_decision_function
check_methods_sample_order_invariance check_methods_subset_invariance check_fit2d_1sample check_fit2d_1feature check_dict_unchanged
check_fit_idempotent check_fit_check_is_fitted check_n_features_in check_fit2d_predict1d
""".split()


@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
def test_check_estimator(kind, tiny_run, monkeypatch):
    from sklearn.utils.estimator_checks import check_estimator

    estimator = getattr(minbert, kind)(tiny_run.folder, **FAST)
    check_estimator(estimator)  # the tags say text: few checks are left

    own_tags = type(estimator).__sklearn_tags__

    def tags_of_numbers(self):
        tags = own_tags(self)
        tags.input_tags.two_d_array, tags.no_validation = True, False
        return tags

    monkeypatch.setattr(type(estimator), "__sklearn_tags__", tags_of_numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None)
    failed = {result["check_name"] for result in results if result["status"] == "failed"}
    assert failed <= set(OF_NUMBERS)
    assert sum(result["status"] == "passed" for result in results) > 15
