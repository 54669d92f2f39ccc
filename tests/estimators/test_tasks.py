"""A fit and its epochs as tasks of scikit-learn's callbacks."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastnn
from estimators.comparison import classifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


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


def test_callbacks_of_meta_estimators(callback, wine):
    progress = callback.ProgressBar(max_propagation_depth=None)
    pipeline = make_pipeline(StandardScaler(), classifier()).set_callbacks(progress).fit(*wine)
    search = GridSearchCV(classifier(), {"alpha": [1e-4, 1.0]}, cv=2).set_callbacks(progress).fit(*wine)
    assert pipeline[-1].n_iter_ == search.best_estimator_.n_iter_ == 8
    recorder = Recorder()
    nested = GridSearchCV(classifier().set_callbacks(recorder), {"alpha": [1e-4, 1.0]}, cv=2).fit(*wine)
    assert recorder.events.count("teardown") == 5
    assert nested.best_score_ == search.best_score_
