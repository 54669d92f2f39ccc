"""Training: scikit-learn's to the last digit where random numbers allow it, and what it does not have."""

import inspect
import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score, make_scorer, roc_auc_score
from sklearn.neural_network import MLPClassifier, MLPRegressor

import fastnn
from estimators.comparison import assert_same_training, classifier, pair, rows, split
from fastnn import schedules

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMOOTH = {"activation": "tanh"}


# --- as scikit-learn trains -----------------------------------------------------------------------------


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


def test_integer_weights_are_repeated_rows():
    x, y, _ = rows("multiclass")
    repeats = np.arange(len(x)) % 3
    options = {"max_iter": 20, "random_state": 0, "alpha": 0.5}
    weighted = fastnn.MLPClassifier(**options).fit(x, y, sample_weight=repeats)
    repeated = fastnn.MLPClassifier(**options).fit(x.repeat(repeats, axis=0), y.repeat(repeats))
    for ours, theirs in zip(weighted.coefs_, repeated.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


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


def test_warm_start_from_weights_of_the_caller():
    x, y, name = rows("multiclass")
    comp, ref = pair(name, warm_start=True)
    ref.fit(x, y)
    comp.coefs_, comp.intercepts_ = [w.copy() for w in ref.coefs_], [b.copy() for b in ref.intercepts_]
    comp.fit(x, y)
    assert comp.loss_curve_[0] < ref.loss_curve_[-1]
    assert comp.n_iter_ == 30
    model = fastnn.MLPClassifier((5,), warm_start=True)
    model.coefs_, model.intercepts_ = ref.coefs_, ref.intercepts_
    with pytest.raises(
        ValueError,
        match=r"layers of coefs_ are \[13, 20, 10, 3\], but hidden_layer_sizes, X and y need \[13, 5, 3\]",
    ):
        model.fit(x, y)


# --- validation data and streams ------------------------------------------------------------------------


def test_validation_data_of_the_caller():
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
    with pytest.raises(ValueError, match="X_val and y_val must be given together"):
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


# --- what scikit-learn lacks ----------------------------------------------------------------------------


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
def test_options_that_scikit_learn_lacks(options, early_stopping):
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


def test_lbfgs_of_float32_rounds_what_float64_reaches(wine):
    x, y = wine
    x = x.astype(np.float32)
    single, double = (classifier(solver="lbfgs", dtype=dtype).fit(x, y) for dtype in (None, "float64"))
    # both start from the same numbers, once rounded
    np.testing.assert_allclose(single.loss_, double.loss_, rtol=1e-3)
    assert single.coefs_[0].dtype == np.float32


def test_stream_goes_on_when_its_loss_does_not_fall(wine):
    x, y = wine
    model = classifier(learning_rate_init=1e-9, n_iter_no_change=2)
    for _ in range(6):
        model.partial_fit(x, y, classes=[0, 1, 2])
        before = model.coefs_[0].copy()
    model.partial_fit(x, y)
    assert not np.array_equal(before, model.coefs_[0])
    assert not model.stopped_
    assert model.t_ == 7 * len(x)


def test_stream_takes_up_new_parameters(wine):
    x, y = wine
    model = classifier(shuffle=False).partial_fit(x, y, classes=[0, 1, 2])
    kept = pickle.loads(pickle.dumps(model))
    model.set_params(learning_rate_init=1e-12)
    before = model.coefs_[0].copy()
    np.testing.assert_allclose(model.partial_fit(x, y).coefs_[0], before, rtol=0, atol=1e-10)
    assert np.abs(kept.partial_fit(x, y).coefs_[0] - before).max() > 1e-4


# --- rates, penalties and averages ----------------------------------------------------------------------


def test_momentum_may_be_one(wine):
    options = {"solver": "sgd", "momentum": 1.0, "shuffle": False, "max_iter": 8, "random_state": 0}
    comp = fastnn.MLPClassifier((8,), **options).fit(*wine)
    ref = MLPClassifier((8,), **options).fit(*wine)
    np.testing.assert_allclose(comp.coefs_[0], ref.coefs_[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "rule", ["cosine", schedules.Cosine(), lambda epoch, lr: lr * (1 + np.cos(np.pi * epoch / 8)) / 2]
)
@pytest.mark.parametrize("solver", ["adam", fastnn.SGD(0.01, momentum=0.9)], ids=["adam", "SGD"])
def test_schedules(rule, solver, wine):
    rates = []
    model = classifier(solver=solver, learning_rate=rule, learning_rate_init=0.01)
    model.set_params(callbacks=lambda trainer, epoch: rates.append(epoch.lr)).fit(*wine)
    # a batch an epoch: the rate of epoch k is that at its start
    np.testing.assert_allclose(rates, 0.01 * (1 + np.cos(np.pi * np.arange(8) / 8)) / 2)


def test_schedule_that_ends_training(wine):
    schedule = schedules.Adaptive(patience=1, min_delta=100.0, min_lr=1e-2)
    model = classifier(learning_rate=schedule, learning_rate_init=1e-2).fit(*wine)
    assert model.n_iter_ == 2  # the first epoch is always better


@pytest.mark.parametrize(
    "options", [{"clip_norm": 1e-3}, {"max_norm": 0.5}, {"l1_ratio": 1.0, "alpha": 5.0}], ids=str
)
def test_limits_and_penalties_are_the_trainers(options, wine):
    x, y = wine
    solver = fastnn.SGD(0.05)
    start = classifier(solver=fastnn.SGD(1e-300)).fit(x, y)
    net = fastnn.MLP([13, 8, 3], dtype="float64", init=start.coefs_)
    for bias, theirs in zip(net.biases, start.intercepts_, strict=True):
        bias[:] = theirs
    penalty = {"l1": 5.0} if "l1_ratio" in options else {"l2": 1e-4, **options}
    trainer = fastnn.Trainer(
        net, loss="cross_entropy", optimizer=solver, batch_size=200, shuffle=False, **penalty
    )
    trainer.fit(x, y, 8, verbose=0)
    model, plain = (classifier(shuffle=False, solver=solver, **more).fit(x, y) for more in (options, {}))
    np.testing.assert_allclose(model.coefs_[0], net.weights[0], rtol=0, atol=1e-12)
    assert np.abs(plain.coefs_[0] - model.coefs_[0]).max() > 1e-2


def test_lazy_is_the_trainers():
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.random(60, 40, 0.05, format="csr", random_state=np.random.default_rng(0))
    y = np.arange(60) % 2
    options = {"solver": fastnn.Adam(0.01), "batch_size": 10, "max_iter": 8}
    lazy, eager = (classifier(lazy=flag, **options).fit(x, y) for flag in (True, False))
    unused = np.flatnonzero(np.diff(x.tocsc().indptr) == 0)
    assert unused.size
    assert np.abs(lazy.coefs_[0] - eager.coefs_[0]).max() > 1e-3
    # Its own weight decay moves a weight without a feature, but not if that is left alone.
    start = classifier(**options | {"solver": fastnn.SGD(1e-300)}).fit(x, y)
    np.testing.assert_array_equal(lazy.coefs_[0][unused], start.coefs_[0][unused])
    with pytest.raises(ValueError, match="lazy is for sparse rows"):
        classifier(lazy=True).fit(x.toarray(), y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_average_is_what_is_scored_and_kept(early_stopping, wine):
    x, y = wine
    options = {"average": fastnn.EMA(0.8), "learning_rate_init": 0.01, "early_stopping": early_stopping}
    model = classifier(scoring="neg_log_loss", **options).fit(x, y, X_val=x, y_val=y)
    best = max(model.validation_scores_) if early_stopping else model.validation_scores_[-1]
    p = model.predict_proba(x)[np.arange(len(y)), y]
    assert np.log(p).mean() == pytest.approx(best)
    assert model.validation_loss_curve_ == pytest.approx([-score for score in model.validation_scores_])
    plain = classifier(**{**options, "average": None}).fit(x, y, X_val=x, y_val=y)
    assert plain.validation_loss_curve_[-1] < model.validation_loss_curve_[-1]  # the average lags behind
    streamed = classifier(**options)
    for _ in range(3):
        streamed.partial_fit(x, y, classes=[0, 1, 2], X_val=x, y_val=y)
    assert streamed.score(x, y) == streamed.validation_scores_[-1]


# --- scores and callbacks -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scoring", "figure"),
    [
        ("roc_auc", lambda model, x, y: roc_auc_score(y, model.predict_proba(x)[:, 1])),
        (make_scorer(f1_score), lambda model, x, y: f1_score(y, model.predict(x))),
        (lambda model, x, y: -float(model.predict(x).sum()), lambda model, x, y: -model.predict(x).sum()),
        (None, lambda model, x, y: model.score(x, y)),
    ],
    ids=["roc_auc", "f1", "own", "default"],
)
def test_scoring(scoring, figure, cancer):
    x, y = cancer
    model = classifier(scoring=scoring, early_stopping=True, max_iter=30, n_iter_no_change=30)
    model.fit(x[:400], y[:400], X_val=x[400:], y_val=y[400:])
    assert figure(model, x[400:], y[400:]) == pytest.approx(model.best_validation_score_, rel=1e-12)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(set(model.validation_scores_)) > 1
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_


def test_scoring_by_the_loss(cancer):
    x, y = cancer
    model = classifier(scoring="loss", early_stopping=True).fit(x, y, np.arange(1.0, len(y) + 1))
    assert model.validation_scores_ == [-loss for loss in model.validation_loss_curve_]
    assert model.validation_loss_curve_[-1] < model.validation_loss_curve_[0]


@pytest.mark.filterwarnings("error:X does not have valid feature names")
def test_scoring_ignores_feature_names(wine):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(wine[0]).add_prefix("column ")
    model = classifier(scoring="f1_macro", early_stopping=True).fit(frame, wine[1])
    assert model.feature_names_in_[0] == "column 0"


def test_callbacks_of_fastnn(wine):
    class StopAt3(fastnn.Callback):
        def on_epoch_end(self, trainer, epoch):
            if epoch.epoch == 3:
                trainer.stop("enough")

    epochs = []
    model = classifier(callbacks=[StopAt3(), lambda trainer, epoch: epochs.append(epoch)]).fit(*wine)
    assert model.n_iter_ == 3
    assert model.loss_curve_ == [epoch.cost + epoch.penalty for epoch in epochs]
    assert len(pickle.dumps(classifier(callbacks=[]).fit(*wine))) < 5_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "lbfgs", "average": fastnn.EMA()}, "'lbfgs' cannot be combined with average"),
        ({"solver": "lbfgs", "clip_norm": 1.0}, "'lbfgs' cannot be combined with clip_norm"),
        ({"solver": "lbfgs", "max_norm": 1.0}, "'lbfgs' cannot be combined with max_norm"),
        ({"solver": "lbfgs", "l1_ratio": 0.5}, "'lbfgs' cannot be combined with l1"),
        ({"solver": "lbfgs", "learning_rate": "cosine"}, "'lbfgs' cannot be combined with a schedule"),
        ({"solver": "lbfgs", "callbacks": [print]}, "'lbfgs' cannot be combined with callbacks"),
        ({"solver": fastnn.LBFGS()}, "solver must be 'lbfgs' with tol and max_fun"),
        ({"learning_rate": "plateau2"}, "'learning_rate' parameter"),
        ({"learning_rate": schedules.Plateau(monitor="val_cost")}, "there is no validation_data"),
        ({"scoring": "acuracy"}, "'scoring' parameter"),
        ({"l1_ratio": 1.5}, "'l1_ratio' parameter"),
        ({"clip_norm": 0}, "'clip_norm' parameter"),
        ({"average": 0.9}, "'average' parameter"),
        ({"callbacks": 3}, "'callbacks' parameter"),
        ({"dtype": "float16"}, "'dtype' parameter"),
    ],
    ids=str,
)
def test_options_that_cannot_be_combined(options, message, wine):
    with pytest.raises(ValueError, match=message):
        classifier(**options).fit(*wine)


def test_lbfgs_has_no_epochs_to_validate(wine):
    with pytest.raises(ValueError, match="'lbfgs' cannot be combined with X_val"):
        classifier(solver="lbfgs").fit(*wine, X_val=wine[0], y_val=wine[1])


# --- divergence -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_overflowing_weights_are_a_value_error(solver):
    """scikit-learn's fit raises a ValueError, too, for weights that are no longer finite."""
    rng = np.random.default_rng(0)
    x, y = np.finfo(np.float64).max * rng.uniform(size=(10, 2)), rng.standard_normal(10)
    comp, ref = (kind(solver=solver, random_state=0) for kind in (fastnn.MLPRegressor, MLPRegressor))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        with pytest.raises(ValueError, match="non-finite"):
            ref.fit(x, y)
    with pytest.raises(ValueError, match=r"NaN or infinite.*standardise") as caught:
        comp.fit(x, y)
    assert isinstance(caught.value, fastnn.DivergenceError)


def diverging(**options):
    """A regressor whose weights overflow after a few epochs on the iris data."""
    options = {"activation": "identity", "solver": "sgd", "learning_rate_init": 1.0, **options}
    return fastnn.MLPRegressor(max_iter=20, random_state=0, **options)


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("scoring", [None, "r2", "loss"])
def test_divergence_with_early_stopping_is_a_warning(scoring):
    x, y = datasets.load_iris(return_X_y=True)
    model = diverging(early_stopping=True, scoring=scoring)
    with pytest.warns(
        ConvergenceWarning, match="diverged in epoch 6.*smaller learning rate than 1"
    ) as record:
        model.fit(x, y)
    assert [entry.filename for entry in record] == [__file__]
    assert model.stopped_
    assert model.n_iter_ == len(model.validation_scores_) == len(model.loss_curve_) == 5
    assert np.isfinite(model.validation_scores_[:-1]).all()
    assert model.validation_scores_[-1] == -np.inf
    assert model.validation_scores_[0] == model.best_validation_score_
    assert model.score(x, y) > -1e7  # the best weights are back: a score of -1e21 follows


def test_divergence_in_a_stream_with_early_stopping():
    x, y = datasets.load_iris(return_X_y=True)
    model = diverging(early_stopping=True)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        for _ in range(20):
            model.partial_fit(x, y, X_val=x, y_val=y)
    assert ["diverged" in str(entry.message) for entry in record] == [True]  # and then it has stopped
    assert model.stopped_
    assert model.score(x, y) == pytest.approx(model.best_validation_score_)


@pytest.mark.parametrize("options", [{}, {"early_stopping": True, "learning_rate_init": 1e300}], ids=str)
def test_divergence_before_any_finite_score_is_an_error(options):
    x, y = datasets.load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="NaN or infinite"):
        diverging(**options).fit(x, y)


def test_score_of_infinite_outputs():
    """scikit-learn's scorers refuse them."""
    x, y = datasets.load_iris(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        model = diverging(early_stopping=True).fit(x, np.column_stack([y, y]))
    assert model.validation_scores_[-1] == -np.inf
