"""What the estimators take beyond scikit-learn's own parameters, and its callbacks."""

import pickle
import threading

import numpy as np
import pytest

import fastnn
from fastnn import schedules

datasets = pytest.importorskip("sklearn.datasets")

from sklearn.base import clone  # noqa: E402
from sklearn.metrics import f1_score, make_scorer, roc_auc_score  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def wine():
    x, y = datasets.load_wine(return_X_y=True)
    return StandardScaler().fit_transform(x), y


@pytest.fixture
def cancer():
    x, y = datasets.load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(x), y


def classifier(**options):
    return fastnn.MLPClassifier((8,), **{"max_iter": 8, "random_state": 0, **options})


# --- dtype ----------------------------------------------------------------------------------------------


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


def test_lbfgs_of_float32_rounds_what_float64_reaches(wine):
    x, y = wine
    x = x.astype(np.float32)
    single, double = (classifier(solver="lbfgs", dtype=dtype).fit(x, y) for dtype in (None, "float64"))
    # both start from the same numbers, once rounded
    np.testing.assert_allclose(single.loss_, double.loss_, rtol=1e-3)
    assert single.coefs_[0].dtype == np.float32


# --- a stream -------------------------------------------------------------------------------------------


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


def test_part_may_lack_classes_that_have_a_weight(wine):
    x, y = wine
    model = classifier(class_weight={0: 2.0, 1: 3.0}, shuffle=False)
    ref = clone(model).set_params(class_weight=None)
    part = y != 1
    model.partial_fit(x[part], y[part], classes=[0, 1, 2])
    ref.partial_fit(x[part], y[part], np.where(y[part] == 0, 2.0, 1.0), classes=[0, 1, 2])
    assert np.array_equal(model.coefs_[0], ref.coefs_[0])


# --- the course of training -----------------------------------------------------------------------------


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


# --- validation -----------------------------------------------------------------------------------------


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
def test_scoring_knows_no_names(wine):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(wine[0]).add_prefix("column ")
    model = classifier(scoring="f1_macro", early_stopping=True).fit(frame, wine[1])
    assert model.feature_names_in_[0] == "column 0"


def test_class_weights_do_not_count_in_validation(wine):
    x, y = wine
    seen = []

    def scorer(model, x, y, **weights):
        seen.append(weights)
        return 0.0

    classifier(scoring=scorer, class_weight="balanced", early_stopping=True).fit(x, y)
    classifier(scoring=scorer, early_stopping=True).fit(x, y, np.full(len(y), 2.0))
    assert seen[0] == {}
    assert set(seen[-1]["sample_weight"]) == {2.0}


def test_callbacks_of_fastnn(wine):
    class StopAt3(fastnn.Callback):
        def on_epoch_end(self, trainer, epoch):
            if epoch.epoch == 3:
                trainer.stop("enough")

    epochs = []
    model = classifier(callbacks=[StopAt3(), lambda trainer, epoch: epochs.append(epoch)]).fit(*wine)
    assert model.n_iter_ == 3
    assert model.loss_curve_ == [epoch.cost for epoch in epochs]
    assert len(pickle.dumps(classifier(callbacks=[]).fit(*wine))) < 5_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "lbfgs", "average": fastnn.EMA()}, "'lbfgs' does not go with average"),
        ({"solver": "lbfgs", "clip_norm": 1.0}, "'lbfgs' does not go with clip_norm"),
        ({"solver": "lbfgs", "max_norm": 1.0}, "'lbfgs' does not go with max_norm"),
        ({"solver": "lbfgs", "l1_ratio": 0.5}, "'lbfgs' does not go with l1"),
        ({"solver": "lbfgs", "learning_rate": "cosine"}, "'lbfgs' does not go with a schedule"),
        ({"solver": "lbfgs", "callbacks": [print]}, "'lbfgs' does not go with callbacks"),
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
def test_what_does_not_go(options, message, wine):
    with pytest.raises(ValueError, match=message):
        classifier(**options).fit(*wine)


def test_lbfgs_has_no_epochs_to_validate(wine):
    with pytest.raises(ValueError, match="'lbfgs' does not go with X_val"):
        classifier(solver="lbfgs").fit(*wine, X_val=wine[0], y_val=wine[1])


# --- one row --------------------------------------------------------------------------------------------


def test_few_rows_are_predicted_as_many_are(wine):
    x, y = wine
    model = classifier().fit(x, y)
    expected = model.predict_proba(x)
    for rows in (x[:1], x[:1].copy(order="F"), x[:1].tolist(), x[:4], x.copy(order="F")[:4]):
        assert np.array_equal(model.predict_proba(rows), expected[: len(rows)])
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


# --- scikit-learn's callbacks ---------------------------------------------------------------------------


class Recorder:
    """Events of a fit; it ends training after so many epochs."""

    def __init__(self, stop_after=None):
        self.events, self.scores, self.stop_after = [], [], stop_after

    def setup(self, estimator, context):
        self.events.append(("setup", context.max_subtasks))

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None, metadata=None):
        self.events.append(("end", context.task_name, context.task_id))
        self.metadata = metadata
        if fitted_estimator is not None:
            self.scores.append(fitted_estimator.score(X, y))
            self.fitted = fitted_estimator
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after


@pytest.fixture
def callback():
    return pytest.importorskip("sklearn.callback")


def test_no_callbacks_without_scikit_learns_support():
    import sklearn

    has = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 9)
    assert hasattr(fastnn.MLPClassifier(), "set_callbacks") == has


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_tasks_of_a_fit(solver, callback, wine):
    recorder = Recorder()
    weight = np.ones(len(wine[1]))
    model = classifier(solver=solver, max_iter=3).set_callbacks(recorder).fit(*wine, weight)
    epochs = [(when, "epoch", k) for k in range(3) for when in ("begin", "end")]
    fit = [("begin", "fit", 0), *epochs, ("end", "fit", 0)]
    assert recorder.events == [("setup", 3), *fit, "teardown"]
    assert len(recorder.scores) == 4
    assert recorder.scores[-1] == recorder.scores[-2] == model.score(*wine)
    assert recorder.metadata["sample_weight"] is weight
    ours = classifier(solver=solver, max_iter=3).fit(*wine)
    assert np.array_equal(ours.coefs_[0], model.coefs_[0])
    assert not np.shares_memory(recorder.fitted.coefs_[0], model.coefs_[0])
    assert not hasattr(model, "_callback_fit_ctx")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callback_ends_training(solver, callback, wine, recwarn):
    recorder = Recorder(stop_after=2)
    model = classifier(solver=solver).set_callbacks(recorder).fit(*wine)
    assert model.n_iter_ == 2
    assert not recwarn.list
    assert recorder.events.count(("end", "epoch", 1)) == 1
    assert ("begin", "epoch", 2) not in recorder.events


def test_every_task_that_begins_ends(callback, wine):
    recorder = Recorder()
    classifier(solver="lbfgs", tol=10.0, max_iter=50).set_callbacks(recorder).fit(*wine)
    for when, other in (("begin", "end"), ("end", "begin")):
        of_one = [event[1:] for event in recorder.events if event[0] == when]
        assert sorted(of_one) == sorted(event[1:] for event in recorder.events if event[0] == other)


def test_average_is_what_callbacks_get(callback, wine):
    recorder = Recorder()
    model = (
        classifier(average=fastnn.EMA(0.9)).set_callbacks(recorder).fit(*wine, X_val=wine[0], y_val=wine[1])
    )
    assert recorder.scores[:-1] == model.validation_scores_


def test_callbacks_of_scikit_learn(callback, wine):
    pytest.importorskip("pandas")
    monitor = callback.ScoringMonitor(scoring="accuracy")
    model = classifier(early_stopping=True).set_callbacks(monitor, callback.ProgressBar()).fit(*wine)
    scores = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == model.n_iter_
    assert len(set(scores)) > 1
    copy = clone(model).fit(*wine)  # which has them, too
    assert np.array_equal(copy.coefs_[0], model.coefs_[0])


def test_callbacks_of_those_around(callback, wine):
    progress = callback.ProgressBar(max_propagation_depth=None)
    pipeline = make_pipeline(StandardScaler(), classifier()).set_callbacks(progress).fit(*wine)
    search = GridSearchCV(classifier(), {"alpha": [1e-4, 1.0]}, cv=2).set_callbacks(progress).fit(*wine)
    assert pipeline[-1].n_iter_ == search.best_estimator_.n_iter_ == 8
    recorder = Recorder()
    nested = GridSearchCV(classifier().set_callbacks(recorder), {"alpha": [1e-4, 1.0]}, cv=2).fit(*wine)
    assert recorder.events.count("teardown") == 5
    assert nested.best_score_ == search.best_score_


def test_class_weight_of_an_unknown_class():
    x, y = np.arange(12.0).reshape(6, 2), ["a", "b", "a", "b", "a", "b"]
    with pytest.raises(ValueError, match=r"class_weight names \['c'\], but the classes are \['a', 'b'\]"):
        fastnn.MLPClassifier(class_weight={"a": 2.0, "c": 1.0}).fit(x, y)
    model = fastnn.MLPClassifier(class_weight={"a": 2.0, "b": 1.0}, max_iter=2)
    model.partial_fit(x[:1], y[:1], classes=["a", "b"])  # a part of a stream may lack a class
