"""Checks, fitted attributes, prediction and pickling of the estimators."""

import pickle
import threading
import tracemalloc

import joblib
import numpy as np
import pytest
import sklearn
from sklearn import datasets
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn
from estimators.comparison import classifier, pair, rows, split

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "one target"])
def test_attributes_and_methods_are_scikit_learns(kind):
    x, y, name = rows(kind)
    comp, ref = (model.fit(x, y) for model in pair(name, early_stopping=True))
    for attribute in (key for key in dir(ref) if not key.startswith("_")):
        if attribute != "loss" or name == "MLPRegressor":  # a classifier's is no parameter
            assert hasattr(comp, attribute), attribute
            assert isinstance(getattr(comp, attribute), type(getattr(ref, attribute))), attribute
    if name == "MLPClassifier":
        assert np.array_equal(comp.classes_, ref.classes_)


def test_predicting_with_each_others_weights():
    x, y, name = rows("multiclass")
    comp, ref = (model.fit(x, y) for model in pair(name))
    other = clone(comp).set_params(random_state=8).fit(x, y)
    other.coefs_, other.intercepts_ = ref.coefs_, ref.intercepts_
    np.testing.assert_allclose(other.predict_proba(x), ref.predict_proba(x), rtol=1e-9)
    other.coefs_[0] = 0 * other.coefs_[0]
    assert np.ptp(other.predict_proba(x), axis=0) == pytest.approx(0)
    ref.coefs_, ref.intercepts_ = comp.coefs_, comp.intercepts_
    np.testing.assert_allclose(ref.predict_proba(x), comp.predict_proba(x), rtol=1e-9)


def test_tools_of_scikit_learn():
    x, _, y, _ = split(datasets.load_digits)
    model = fastnn.MLPClassifier((32,), max_iter=50, random_state=0)
    assert cross_val_score(make_pipeline(StandardScaler(), model), x, y, cv=3).mean() > 0.9
    assert clone(model).get_params() == model.get_params()
    calibrated = CalibratedClassifierCV(model, cv=2).fit(x, y)
    assert calibrated.score(x, y) > 0.9
    search = GridSearchCV(model, {"alpha": [1e-4, 1e4]}, n_jobs=2, cv=2).fit(x, y)
    assert search.best_params_ == {"alpha": 1e-4}
    again = clone(model).fit(x, y)
    assert np.array_equal(again.predict_proba(x), model.fit(x, y).predict_proba(x))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_pickle_is_small(early_stopping, tmp_path):
    x, _, y, _ = split(datasets.load_digits)
    model = fastnn.MLPClassifier((200,), early_stopping=early_stopping, max_iter=20, random_state=0).fit(x, y)
    weights = sum(array.nbytes for array in model.coefs_ + model.intercepts_)
    assert len(pickle.dumps(model)) < weights + 5_000  # not twice, and no data: that has 345 kB
    joblib.dump(model, tmp_path / "model.joblib")
    for copy in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib", mmap_mode="r"),
    ):
        assert np.array_equal(copy.predict_proba(x), model.predict_proba(x))
        assert np.array_equal(copy.set_params(warm_start=True).fit(x, y).predict(x), copy.predict(x))
    memory = pickle.loads(pickle.dumps(model))
    memory.predict(x)
    assert np.shares_memory(memory.coefs_[0], memory._fitted.net.params)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library):
    frames = pytest.importorskip(library)
    x, y, _ = rows("multiclass")
    names = [f"column {i}" for i in range(x.shape[1])]
    frame = frames.DataFrame(dict(zip(names, x.T, strict=True)))
    labels = frames.Series(np.array(["a", "b", "c"])[y])
    model = fastnn.MLPClassifier(random_state=0).fit(frame, labels, X_val=frame, y_val=labels)
    assert model.score(frame, labels) > 0.95
    assert model.validation_scores_[-1] == model.score(frame, labels)
    ref = MLPClassifier(max_iter=2).fit(frame, labels)
    if library == "polars" and not hasattr(ref, "feature_names_in_"):
        return  # an old scikit-learn knows no names of a new polars
    assert model.feature_names_in_.tolist() == names
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[names[::-1]])


def test_data_is_not_copied():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20_000, 100), dtype="float32")
    y = (x[:, 0] > 0).astype(int)
    x.flags.writeable = False
    model = fastnn.MLPClassifier((4,), max_iter=2).fit(x[:500], y[:500])
    model.predict(x[:500])  # compiled, imported
    tracemalloc.start()
    model.fit(x, y)
    model.predict(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * x.nbytes


def test_metadata_routing():
    x, y, _ = rows("multiclass")
    with sklearn.config_context(enable_metadata_routing=True):
        model = fastnn.MLPClassifier((4,), max_iter=3).set_fit_request(
            sample_weight=False, X_val=True, y_val=True
        )
        model.set_partial_fit_request(sample_weight=True, classes=True)
        pipeline = make_pipeline(StandardScaler(), model).fit(x, y, X_val=x, y_val=y)
    assert len(pipeline[-1].validation_scores_) == 3


@pytest.mark.parametrize("activation", [[], "logistic", fastnn.Activation("elu")], ids=str)
def test_activation_without_hidden_layers(activation):
    x, y, _ = rows("multiclass")
    model = fastnn.MLPClassifier((), activation, max_iter=2, random_state=0).fit(x, y)
    assert [w.shape for w in model.coefs_] == [(13, 3)]


def test_activation_of_each_layer():
    x, y, _ = rows("multiclass")
    model = fastnn.MLPClassifier((9, 8), ["tanh", "logistic"], random_state=0).fit(x, y)
    (w0, w1, w2), (b0, b1, b2) = model.coefs_, model.intercepts_
    z = 1 / (1 + np.exp(-(np.tanh(x @ w0 + b0) @ w1 + b1))) @ w2 + b2
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(x), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "sine"}, "activation must be one of"),
        ({"activation": ["sine"]}, "activation must be one of"),
        ({"activation": ["relu", "tanh"]}, "activation has 2 entries, but the network has 1 hidden layers"),
        ({"hidden_layer_sizes": (10, -1)}, r"hidden_layer_sizes must hold integers > 0, got \(10, -1\)"),
        ({"hidden_layer_sizes": (10, 2.5)}, "hidden_layer_sizes must hold integers"),
        ({"max_iter": 0}, "'max_iter' parameter of MLPClassifier must be an int"),
        ({"alpha": -1}, "'alpha' parameter"),
        ({"alpha": 10**400}, r"alpha must lie in \[-inf, inf\), got an integer of 1329 bits"),
        ({"solver": "newton"}, "'solver' parameter"),
        ({"dtype": "float16"}, "dtype"),
        ({"early_stopping": True, "validation_fraction": 0.005}, "validation set is too small with 1 row"),
    ],
    ids=str,
)
def test_bad_parameters(options, message):
    x, _, y, _ = split(datasets.load_iris)
    with pytest.raises(ValueError, match=message):
        fastnn.MLPClassifier(**options).fit(x, y)


def test_bad_data():
    x, _, y, _ = split(datasets.load_iris)
    model = fastnn.MLPClassifier(max_iter=2)
    with pytest.raises(NotFittedError):
        model.predict(x)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(x * np.nan, y)
    with pytest.raises(ValueError, match="continuous"):
        model.fit(x, y + 0.5)
    with pytest.raises(ValueError, match="1d array"):
        model.fit(x, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="features"):
        model.fit(x, y).predict(x[:, :2])
    with pytest.warns(UserWarning, match="batch_size=999 is clipped to the 112 samples"):
        model.set_params(batch_size=999).fit(x, y)


@pytest.mark.parametrize(
    ("given", "dtype", "expected"),
    [
        ("float32", None, "float32"),
        ("float64", None, "float64"),
        ("int32", None, "float64"),
        ("float32", "float64", "float64"),
        ("float64", np.float32, "float32"),
    ],
)
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_dtype(name, given, dtype, expected, wine):
    x, y = wine
    x = (10 * x).astype(given)
    model = getattr(fastnn, name)(hidden_layer_sizes=(5,), max_iter=3, dtype=dtype, random_state=0).fit(x, y)
    out = getattr(model, "predict_proba", model.predict)
    assert {array.dtype for array in model.coefs_ + model.intercepts_} == {np.dtype(expected)}
    assert out(x).dtype == expected
    other = "float32" if given == "float64" else "float64"
    np.testing.assert_allclose(out(x.astype(other)), out(x), rtol=1e-5, atol=1e-6)
    before = model.coefs_[0].copy()
    model.partial_fit(x.astype(other), y)
    assert out(x).dtype == expected
    assert not np.array_equal(before, model.coefs_[0])


def test_few_rows_are_predicted_as_many_are(wine):
    x, y = wine
    model = classifier().fit(x, y)
    expected = model.predict_proba(x)
    for few in (x[:1], x[:1].copy(order="F"), x[:1].tolist(), x[:4], x.copy(order="F")[:4]):
        assert np.array_equal(model.predict_proba(few), expected[: len(few)])
    for message, bad in {"NaN": x[:1] * np.nan, "features": x[:1, 1:].copy(), "sample": x[:0]}.items():
        with pytest.raises(ValueError, match=message):
            model.predict(bad)
    state = dict(vars(model))
    model.predict(x[:1])
    assert vars(model).keys() == state.keys()
    before = model.predict_proba(x[:1])
    model.set_params(warm_start=True).fit(x, y)
    assert not np.array_equal(before, model.predict_proba(x[:1]))
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(x[:1]), model.predict_proba(x[:1]))


def test_few_rows_from_several_threads(wine):
    x, y = wine
    model = classifier().fit(x, y)
    expected = [model.predict_proba(row[None]) for row in x]
    failed = []

    def work():
        for row, out in zip(x, expected, strict=True):
            if not np.array_equal(model.predict_proba(row[None]), out):
                failed.append(row)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_missing_scikit_learn(run_python):
    code = "import sys; sys.modules['sklearn'] = None; import fastnn\n"
    code += "try: fastnn.MLPClassifier\nexcept ImportError as error: print(error)"
    assert 'need scikit-learn 1.6 or newer: pip install "fastnn-core[sklearn]"' in run_python(code).stdout
