"""The scikit-learn estimators: the same meanings, to the last digit where random numbers allow it."""

import inspect
import pickle
import tracemalloc

import numpy as np
import pytest

import fastnn

datasets = pytest.importorskip("sklearn.datasets")

import joblib  # noqa: E402
import sklearn  # noqa: E402
from scipy import sparse  # noqa: E402
from sklearn import neural_network  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split  # noqa: E402
from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MODELS = ["MLPClassifier", "MLPRegressor"]
SMOOTH = {"activation": "tanh"}


def split(load):
    x, y = load(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, random_state=0)
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), scaler.transform(x_test), y, y_test


def rows(kind):
    """Standardised rows, targets of that kind, and the name of the estimator for them."""
    if kind == "binary":
        x, y = datasets.load_breast_cancer(return_X_y=True)
    elif kind == "multiclass":
        x, y = datasets.load_wine(return_X_y=True)
    elif kind == "multilabel":
        x, y = datasets.make_multilabel_classification(200, random_state=0)
    else:
        n_targets = 3 if kind == "several targets" else 1
        x, y = datasets.make_regression(200, 5, n_targets=n_targets, random_state=0)
        return StandardScaler().fit_transform(x), y / y.std(), "MLPRegressor"
    return StandardScaler().fit_transform(x), y, "MLPClassifier"


def pair(name, **options):
    """fastnn's estimator and scikit-learn's, which then do the same arithmetic."""
    options = {
        "hidden_layer_sizes": (20, 10),
        "batch_size": 50,
        "max_iter": 30,
        "shuffle": False,
        "random_state": 3,
        **options,
    }
    return getattr(fastnn, name)(**options), getattr(neural_network, name)(**options)


def weighting(ref, y):
    """Sample weights, where scikit-learn is new enough to have them."""
    has_weights = "sample_weight" in inspect.signature(ref.fit).parameters
    return {"sample_weight": np.linspace(0.5, 2.0, len(y))} if has_weights else {}


def assert_same_training(comp, ref, scale=1.0):
    """The same weights and figures, losses being `scale` times as large."""
    for ours, theirs in zip(comp.coefs_ + comp.intercepts_, ref.coefs_ + ref.intercepts_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    for attribute in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(comp, attribute) == getattr(ref, attribute), attribute
    assert comp.loss_ == pytest.approx(scale * ref.loss_, rel=1e-9)
    for attribute in ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"):
        if hasattr(ref, attribute):
            theirs = getattr(ref, attribute)
            theirs = theirs if theirs is None or "loss" not in attribute else scale * np.array(theirs)
            assert getattr(comp, attribute) == (theirs if theirs is None else pytest.approx(theirs, rel=1e-9))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "one target"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "tanh", "alpha": 1.0, "hidden_layer_sizes": 7},
        {"activation": "logistic", "hidden_layer_sizes": ()},
        {"solver": "sgd", "learning_rate_init": 0.01},
        {"solver": "sgd", "learning_rate_init": 0.01, "nesterovs_momentum": False},
        {"solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "invscaling", "power_t": 0.3},
        # over many steps the kinks of relu would make much of the last digits
        {"solver": "sgd", "learning_rate_init": 0.05, "learning_rate": "adaptive", "max_iter": 400, **SMOOTH},
        {"early_stopping": True, "max_iter": 400, "tol": 1e-3, "n_iter_no_change": 3, **SMOOTH},
        {"max_iter": 400, "tol": 1e-2, "n_iter_no_change": 3, "learning_rate_init": 0.01, **SMOOTH},
        {"solver": "lbfgs", "max_iter": 8, "alpha": 0.1},
        {"epsilon": 1e-2, "beta_1": 0.5, "beta_2": 0.9},
    ],
    ids=lambda options: " ".join(map(str, options.values())) or "defaults",
)
def test_training_is_scikit_learns(kind, options):
    x, y, name = rows(kind)
    comp, ref = pair(name, **options)
    assert_same_training(comp.fit(x, y), ref.fit(x, y))
    np.testing.assert_allclose(comp.predict(x), ref.predict(x), rtol=1e-9)
    if name == "MLPClassifier":
        np.testing.assert_allclose(comp.predict_proba(x), ref.predict_proba(x), rtol=1e-9)
        np.testing.assert_allclose(comp.predict_log_proba(x), ref.predict_log_proba(x), rtol=1e-9, atol=1e-12)


def test_loss_of_several_targets_is_the_sum():
    """scikit-learn follows the gradient of the sum over the targets and quotes the mean."""
    x, y, name = rows("several targets")
    comp, ref = pair(name, alpha=0.0)
    assert_same_training(comp.fit(x, y), ref.fit(x, y), scale=y.shape[1])
    assert comp.predict(x).shape == y.shape


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "one target"])
@pytest.mark.parametrize(
    "options", [{}, {"early_stopping": True}, {"solver": "lbfgs", "max_iter": 8}], ids=str
)
def test_sample_weights_are_scikit_learns(kind, options, rng):
    x, y, name = rows(kind)
    comp, ref = pair(name, **options)
    weight = rng.uniform(0.0, 3.0, len(x))
    weight[:20] = 0
    if "sample_weight" not in inspect.signature(ref.fit).parameters:
        pytest.skip("this scikit-learn has no sample_weight")
    assert_same_training(comp.fit(x, y, weight), ref.fit(x, y, weight))


@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs", "max_iter": 8}], ids=str)
def test_poisson_is_scikit_learns(options, rng):
    x, y, name = rows("one target")
    y = rng.poisson(np.exp(y)).astype(float)
    model = fastnn.MLPRegressor("poisson", (9,), max_iter=400, learning_rate_init=0.01, random_state=0)
    assert model.fit(x, y).predict(x).min() > 0
    assert model.out_activation_ == "exp"
    with pytest.raises(ValueError, match="y must be at least 0"):
        model.fit(x, y - 1)
    if "loss" not in inspect.signature(MLPRegressor).parameters:
        pytest.skip("this scikit-learn has no loss but the squared error")
    comp, ref = pair(name, loss="poisson", **options)
    assert_same_training(comp.fit(x, y), ref.fit(x, y))


def test_integer_weights_are_repeated_rows():
    x, y, _ = rows("multiclass")
    repeats = np.arange(len(x)) % 3
    options = {"max_iter": 20, "random_state": 0, "alpha": 0.5}
    weighted = fastnn.MLPClassifier(**options).fit(x, y, sample_weight=repeats)
    repeated = fastnn.MLPClassifier(**options).fit(x.repeat(repeats, axis=0), y.repeat(repeats))
    for ours, theirs in zip(weighted.coefs_, repeated.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def test_class_weights_are_sample_weights():
    x, y, _ = rows("multiclass")
    names = np.array(["a", "b", "c"])[y]
    options = {"max_iter": 20, "random_state": 0}
    by_class = fastnn.MLPClassifier(class_weight={"a": 3.0, "b": 0.5}, **options)
    by_sample = fastnn.MLPClassifier(**options).fit(x, y, np.array([3.0, 0.5, 1.0])[y])
    for ours, theirs in zip(by_class.fit(x, names).coefs_, by_sample.coefs_, strict=True):
        assert np.array_equal(ours, theirs)
    balanced = fastnn.MLPClassifier(class_weight="balanced", **options).fit(x, y)
    by_sample.fit(x, y, (len(y) / (3 * np.bincount(y)))[y])
    assert np.array_equal(balanced.coefs_[0], by_sample.coefs_[0])
    with pytest.raises(ValueError, match="balanced"):
        fastnn.MLPClassifier(class_weight="balanced").partial_fit(x, y, classes=[0, 1, 2])


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "one target"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_warm_start_is_scikit_learns(kind, solver):
    x, y, name = rows(kind)
    comp, ref = pair(name, warm_start=True, solver=solver, max_iter=4)
    for _ in range(3):
        assert_same_training(comp.fit(x, y), ref.fit(x, y))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "one target"])
@pytest.mark.parametrize(
    "options", [{}, {"solver": "sgd", "learning_rate": "invscaling"}], ids=["adam", "sgd"]
)
def test_partial_fit_is_scikit_learns(kind, options):
    x, y, name = rows(kind)
    comp, ref = pair(name, batch_size=20, **options)
    classes = {"classes": np.unique(y)} if name == "MLPClassifier" else {}
    for start in range(0, 160, 40):
        part = slice(start, start + 40)
        assert_same_training(
            comp.partial_fit(x[part], y[part], **classes), ref.partial_fit(x[part], y[part], **classes)
        )
    comp = pickle.loads(pickle.dumps(comp))  # the optimiser's state travels along
    assert_same_training(comp.partial_fit(x, y), ref.partial_fit(x, y))


def test_partial_fit_after_fit():
    x, y, name = rows("multiclass")
    comp, ref = pair(name, solver="sgd", momentum=0.0)
    comp.fit(x, y), ref.fit(x, y)
    assert_same_training(comp.partial_fit(x, y), ref.partial_fit(x, y))


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_scikit_learns(name):
    """The same names and defaults, in the same order where they may be given by position."""
    theirs = inspect.signature(getattr(neural_network, name)).parameters
    ours = inspect.signature(getattr(fastnn, name)).parameters
    assert {key: ours[key].default for key in theirs} == {key: p.default for key, p in theirs.items()}
    by_position = [key for key, p in theirs.items() if p.kind is not p.KEYWORD_ONLY]
    ours_by_position = [key for key, p in ours.items() if p.kind is not p.KEYWORD_ONLY]
    assert [key for key in ours_by_position if key in theirs] == by_position  # 1.6 has no loss yet


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


def test_warm_start_from_weights_of_ones_own():
    x, y, name = rows("multiclass")
    comp, ref = pair(name, warm_start=True)
    ref.fit(x, y)
    comp.coefs_, comp.intercepts_ = [w.copy() for w in ref.coefs_], [b.copy() for b in ref.intercepts_]
    comp.fit(x, y)
    assert comp.loss_curve_[0] < ref.loss_curve_[-1]
    assert comp.n_iter_ == 30
    model = fastnn.MLPClassifier((5,), warm_start=True)
    model.coefs_, model.intercepts_ = ref.coefs_, ref.intercepts_
    with pytest.raises(ValueError, match=r"layers of coefs_ are \[13, 20, 10, 3\], but \[13, 5, 3\]"):
        model.fit(x, y)


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer"])
def test_classifier_is_as_good_as_its_model(name):
    x, x_test, y, y_test = split(getattr(datasets, f"load_{name}"))
    comp = fastnn.MLPClassifier(random_state=0).fit(x, y)
    ref = MLPClassifier(random_state=0).fit(x, y)
    # another order of the rows: a few test rows of 38 to 450 may fall otherwise
    assert comp.score(x_test, y_test) > ref.score(x_test, y_test) - max(0.02, 2.5 / len(y_test))
    proba = comp.predict_proba(x_test)
    assert proba.shape == (len(x_test), len(comp.classes_))
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)  # float32
    assert np.array_equal(comp.predict(x_test), comp.classes_[proba.argmax(axis=1)])


def test_regressor_is_as_good_as_its_model():
    x, x_test, y, y_test = split(datasets.load_diabetes)
    comp = fastnn.MLPRegressor(random_state=0, max_iter=500).fit(x, y)
    ref = MLPRegressor(random_state=0, max_iter=500).fit(x, y)
    assert comp.score(x_test, y_test) > ref.score(x_test, y_test) - 0.05
    assert comp.predict(x_test).shape == y_test.shape


@pytest.mark.parametrize("labels", [["b", "a", "c"], [True, False], [-5, 3, 7], [0.0, 1.0]], ids=str)
def test_labels_of_any_kind(labels):
    x, y, _ = rows("multiclass")
    keep = y < len(labels)
    x, y = x[keep], np.array(labels)[y[keep]]
    model = fastnn.MLPClassifier(random_state=0).fit(x, y)
    assert np.array_equal(model.classes_, np.unique(y))
    assert model.predict(x).dtype == y.dtype
    assert model.score(x, y) > 0.95


def test_a_single_class():
    x, y, _ = rows("multiclass")
    model = fastnn.MLPClassifier(max_iter=2).fit(x, np.full(len(y), "only"))
    assert set(model.predict(x)) == {"only"}
    assert np.array_equal(model.predict_proba(x), np.ones((len(x), 1)))


def test_validation_data_of_ones_own():
    x, x_val, y, y_val = split(datasets.load_digits)
    model = fastnn.MLPClassifier((32,), max_iter=15, random_state=0).fit(x, y, X_val=x_val, y_val=y_val)
    assert len(model.validation_scores_) == model.n_iter_ == 15
    assert model.validation_scores_[-1] == model.score(x_val, y_val)
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.t_ == 15 * len(x)  # nothing was held out
    plain = fastnn.MLPClassifier((32,), max_iter=15, random_state=0).fit(x, y)
    assert np.array_equal(plain.coefs_[0], model.coefs_[0])
    model.set_params(early_stopping=True, max_iter=200).fit(x, y, X_val=x_val, y_val=y_val)
    assert model.stopped_
    assert model.score(x_val, y_val) == model.best_validation_score_ == max(model.validation_scores_)
    with pytest.raises(ValueError, match="X_val and y_val belong together"):
        model.fit(x, y, X_val=x_val)
    with pytest.raises(ValueError, match="features"):
        model.fit(x, y, X_val=x_val[:, 1:], y_val=y_val)


def test_stream_with_early_stopping():
    x, x_val, y, y_val = split(datasets.load_digits)
    model = fastnn.MLPClassifier((16,), early_stopping=True, n_iter_no_change=3, random_state=0)
    rng = np.random.default_rng(0)
    for _ in range(500):
        part = rng.integers(len(x), size=300)
        model.partial_fit(x[part], y[part], classes=np.arange(10), X_val=x_val, y_val=y_val)
        if len(model.validation_scores_) == 2:
            model = pickle.loads(pickle.dumps(model))
        if model.stopped_:
            break
    assert 10 < len(model.validation_scores_) < 500
    assert model.score(x_val, y_val) == model.best_validation_score_ == max(model.validation_scores_)
    before = model.coefs_[0].copy()
    model.partial_fit(x, y, X_val=x_val, y_val=y_val)
    assert np.array_equal(model.coefs_[0], before)
    with pytest.raises(ValueError, match="needs X_val and y_val"):
        model.partial_fit(x, y)


def test_stream_of_several_labels():
    x, y, _ = rows("multilabel")
    comp, ref = pair("MLPClassifier", max_iter=6)
    ref.fit(x, y)
    for _ in range(6):
        comp.partial_fit(x, y)
    for ours, theirs in zip(comp.coefs_, ref.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    assert np.array_equal(comp.predict(x), ref.predict(x))
    with pytest.raises(ValueError, match="5 labels"):
        comp.partial_fit(x, y[:, 0])


def test_partial_fit_and_classes():
    x, y, _ = rows("multiclass")
    model = fastnn.MLPClassifier()
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(x, y)
    model.partial_fit(x[y < 2], y[y < 2], classes=[0, 1, 2]).partial_fit(x, y)
    assert model.predict_proba(x).shape == (len(x), 3)
    with pytest.raises(ValueError, match="differ from those of the first call"):
        model.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"y has the classes \[1, 2, 3\]"):
        model.partial_fit(x, y + 1)
    with pytest.raises(ValueError, match="network was made for"):
        model.set_params(warm_start=True).fit(x[y < 2], y[y < 2])
    assert not hasattr(fastnn.MLPClassifier(solver="lbfgs"), "partial_fit")
    assert not hasattr(fastnn.MLPRegressor(solver="lbfgs"), "partial_fit")


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_sparse_rows(container, options):
    x, y = datasets.load_digits(return_X_y=True)
    options |= {"max_iter": 5, "random_state": 0}
    dense = fastnn.MLPClassifier((16,), **options).fit(x, y)
    model = fastnn.MLPClassifier((16,), **options).fit(container(x), y)
    for ours, theirs in zip(model.coefs_, dense.coefs_, strict=True):
        assert np.array_equal(ours, theirs)
    assert np.array_equal(model.predict_proba(container(x)), dense.predict_proba(x))


def test_in_scikit_learns_hands():
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
    assert np.shares_memory(memory.coefs_[0], memory._model.net.params)


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


def test_activation_of_each_layer():
    x, y, _ = rows("multiclass")
    model = fastnn.MLPClassifier((9, 8), ["tanh", "logistic"], random_state=0).fit(x, y)
    (w0, w1, w2), (b0, b1, b2) = model.coefs_, model.intercepts_
    z = 1 / (1 + np.exp(-(np.tanh(x @ w0 + b0) @ w1 + b1))) @ w2 + b2
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(x), expected, rtol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.2, "input_dropout": 0.1},
        {"norm": "batch"},
        {"norm": ["layer", None], "residual": True},
        {"activation": "gelu", "init": "he_normal"},
        {"activation": ["prelu", fastnn.Activation("elu", alpha=0.5)]},
        {"solver": "adamw"},
        {"solver": fastnn.AdamW(0.003, weight_decay=0.1)},
    ],
    ids=str,
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_what_scikit_learn_has_not(options, early_stopping):
    x, y, _ = rows("multiclass")
    model = fastnn.MLPClassifier((16, 16), early_stopping=early_stopping, random_state=0, tol=0.0)
    model.set_params(learning_rate_init=0.01, n_iter_no_change=30, **options)
    model.fit(x, y, X_val=x, y_val=y)
    assert model.score(x, y) > 0.95
    assert max(model.validation_scores_) == model.best_validation_score_
    if early_stopping:
        assert model.score(x, y) == model.best_validation_score_
    for copy in (pickle.loads(pickle.dumps(model)), clone(model).fit(x, y, X_val=x, y_val=y)):
        assert np.array_equal(copy.predict_proba(x), model.predict_proba(x))
    model.partial_fit(x, y, X_val=x, y_val=y)


@pytest.mark.parametrize("loss", ["mae", "huber", "log_cosh", fastnn.Loss("quantile", levels=0.5)], ids=str)
def test_losses_of_regression(loss):
    x, y, _ = rows("one target")
    model = fastnn.MLPRegressor(loss, (50,), learning_rate_init=0.01, max_iter=300, random_state=0).fit(x, y)
    assert model.score(x, y) > 0.95
    with pytest.raises(ValueError, match="'loss' parameter"):
        fastnn.MLPRegressor("cross_entropy").fit(x, y)


@pytest.mark.parametrize("options", [{"dropout": 0.1}, {"norm": "batch"}, {"input_dropout": 0.1}], ids=str)
def test_lbfgs_refuses_what_has_no_fixed_cost(options):
    x, y, _ = rows("multiclass")
    with pytest.raises(ValueError, match="lbfgs"):
        fastnn.MLPClassifier(solver="lbfgs", **options).fit(x, y)


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_unfinished_training_warns(solver):
    x, _, y, _ = split(datasets.load_iris)
    with pytest.warns(ConvergenceWarning, match="max_iter") as record:
        fastnn.MLPClassifier(solver=solver, max_iter=2).fit(x, y)
    assert record[0].filename == __file__


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
        ({"solver": "newton"}, "'solver' parameter"),
        ({"dtype": "float16"}, "dtype"),
        ({"early_stopping": True, "validation_fraction": 0.005}, "validation set has 1 row"),
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
