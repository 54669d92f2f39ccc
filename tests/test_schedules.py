"""Learning-rate schedules: the rates of every step, beside PyTorch's and scikit-learn's."""

import json
import math
import warnings

import numpy as np
import pytest

from fastnn.history import Epoch
from fastnn.schedules import (
    Adaptive,
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    Function,
    InverseScaling,
    Milestones,
    OneCycle,
    Plateau,
    Schedule,
    Step,
    WarmUp,
    as_schedule,
)

LR = 0.3
N_EPOCHS, N_STEPS, N_ROWS = 12, 5, 73
# What rounding leaves where PyTorch multiplies its last rate instead of computing it from the first.
RTOL = 1e-12


def record(cost=0.5, **figures):
    """An epoch of that cost, and of other figures where they matter."""
    other = {"epoch": 1, "metric": 0.5, "val_cost": None, "val_metric": None}
    return Epoch(**{**other, **figures}, cost=cost, seconds=1.0, samples_per_second=1.0)


def course(schedule, costs=None, n_steps=N_STEPS, lr=LR, monitor="cost"):
    """Rates of all steps of a run whose epochs end with `costs`; the state goes through JSON in between."""
    state, rates = {}, []
    costs = [0.5] * N_EPOCHS if costs is None else costs
    for epoch, cost in enumerate(costs):
        rates.append(schedule.rates(lr, epoch, len(costs), n_steps, epoch * N_ROWS, state))
        stop = schedule.observe(record(**{monitor: cost}), state)
        state = json.loads(json.dumps(state, allow_nan=False))
        if stop:
            break
    rates = np.concatenate(rates)
    assert rates.dtype == np.float64
    return rates


class TestPeers:
    """PyTorch's schedulers, stepped where ours changes."""

    pytestmark = pytest.mark.peers

    @pytest.fixture
    def torch_course(self):
        torch = pytest.importorskip("torch")

        def run(make, n_steps_in_all, *metrics):
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
            rates, scheduler = [], make(torch.optim.lr_scheduler, optimizer)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of steps of the schedule without steps of the optimiser
                for step in range(n_steps_in_all):
                    rates.append(optimizer.param_groups[0]["lr"])
                    scheduler.step(*(metric[step] for metric in metrics))
            return np.array(rates)

        return run

    @pytest.mark.parametrize(
        ("schedule", "make"),
        [
            (Step(3, 0.4), lambda module, opt: module.StepLR(opt, 3, 0.4)),
            (Milestones([2, 3, 9], 0.4), lambda module, opt: module.MultiStepLR(opt, [2, 3, 9], 0.4)),
            (Exponential(0.9), lambda module, opt: module.ExponentialLR(opt, 0.9)),
        ],
    )
    def test_by_epoch(self, torch_course, schedule, make):
        ref = np.repeat(torch_course(make, N_EPOCHS), N_STEPS)
        np.testing.assert_allclose(course(schedule), ref, rtol=RTOL)

    @pytest.mark.parametrize(
        ("schedule", "make"),
        [
            (Cosine(0.01), lambda module, opt: module.CosineAnnealingLR(opt, N_EPOCHS * N_STEPS, 0.01)),
            (OneCycle(0.7), lambda module, opt: module.OneCycleLR(opt, 0.7, N_EPOCHS * N_STEPS)),
            (
                OneCycle(0.7, pct_start=0.51, div_factor=3.0, final_div_factor=7.0),
                lambda module, opt: module.OneCycleLR(
                    opt, 0.7, N_EPOCHS * N_STEPS, pct_start=0.51, div_factor=3.0, final_div_factor=7.0
                ),
            ),
            (
                WarmUp(epochs=2, start_factor=0.2),
                lambda module, opt: module.LinearLR(opt, 0.2, total_iters=2 * N_STEPS),
            ),
            (
                WarmUp(Exponential(0.9), steps=7, start_factor=0.25),
                lambda module, opt: module.ChainedScheduler(
                    [
                        module.LinearLR(opt, 0.25, total_iters=7),
                        module.MultiplicativeLR(opt, lambda step: 0.9 if step % N_STEPS == 0 else 1.0),
                    ]
                ),
            ),
        ],
    )
    def test_by_step(self, torch_course, schedule, make):
        # PyTorch's cosine goes from rate to rate and loses some digits where it is small
        np.testing.assert_allclose(course(schedule), torch_course(make, N_EPOCHS * N_STEPS), rtol=1e-10)

    @pytest.mark.parametrize(("period", "growth"), [(3, 1), (2, 2), (1, 3)])
    def test_restarts(self, torch_course, period, growth):
        schedule = CosineRestarts(period, growth, min_lr=0.01)

        def make(module, opt):
            return module.CosineAnnealingWarmRestarts(opt, period, growth, 0.01)

        by_epoch = torch_course(make, N_EPOCHS)
        np.testing.assert_allclose(course(schedule, n_steps=1), by_epoch, rtol=RTOL)
        np.testing.assert_allclose(course(schedule)[::N_STEPS], by_epoch, rtol=RTOL)
        fractions = np.arange(1, N_EPOCHS * N_STEPS + 1) / N_STEPS
        by_step = torch_course(make, N_EPOCHS * N_STEPS, fractions)
        np.testing.assert_allclose(course(schedule), by_step, rtol=RTOL)

    @pytest.mark.parametrize(("monitor", "mode", "sign"), [("cost", "min", 1), ("val_metric", "max", -1)])
    def test_plateau(self, torch_course, rng, monitor, mode, sign):
        figures = sign * (np.exp(-np.arange(80) / 10) + 0.05 * rng.random(80))
        schedule = Plateau(0.5, patience=4, min_delta=0.01, min_lr=0.02, monitor=monitor)

        def make(module, opt):
            return module.ReduceLROnPlateau(
                opt, mode, 0.5, patience=3, threshold=0.01, threshold_mode="abs", min_lr=0.02
            )

        comp, ref = course(schedule, figures.tolist(), 1, monitor=monitor), torch_course(make, 80, figures)
        assert len(np.unique(ref)) > 3
        assert ref[-1] == 0.02
        np.testing.assert_allclose(comp, ref, rtol=RTOL)


class TestScikitLearn:
    @pytest.fixture
    def sgd(self):
        module = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")

        def make(lr_schedule, lr=LR, **options):
            return module.SGDOptimizer([np.zeros(1)], lr, lr_schedule, **options)

        return make

    def test_inverse_scaling(self, sgd):
        ref, rates = sgd("invscaling", power_t=0.4), []
        for epoch in range(N_EPOCHS):
            rates.append(ref.learning_rate)
            ref.iteration_ends((epoch + 1) * N_ROWS)
        assert np.array_equal(course(InverseScaling(0.4), n_steps=1), rates)

    @pytest.mark.parametrize("lr", [LR, 0.003125, 2.5e-5, 1e-6])
    @pytest.mark.parametrize(("monitor", "sign"), [("cost", 1), ("val_metric", -1)])
    def test_adaptive(self, sgd, rng, lr, monitor, sign):
        """The loop of MLPClassifier, with its optimiser."""
        figures = sign * np.maximum(np.exp(-np.arange(80) / 10), 0.1) + 0.001 * rng.random(80)
        ref, rates, best, waited, n_iter_no_change, tol = sgd("adaptive", lr), [], math.inf, 0, 3, 1e-3
        for figure in sign * figures:
            rates.append(ref.learning_rate)
            waited = waited + 1 if figure > best - tol else 0
            best = min(best, figure)
            if waited > n_iter_no_change:
                if ref.trigger_stopping("", verbose=False):
                    break
                waited = 0
        schedule = Adaptive(patience=n_iter_no_change + 1, min_delta=tol, monitor=monitor)
        comp = course(schedule, figures.tolist(), 1, lr, monitor)
        assert len(comp) == len(rates) < 80
        np.testing.assert_allclose(comp, rates, rtol=RTOL)


def test_constant_and_none_are_the_optimisers_rate():
    assert np.array_equal(course(as_schedule(None)), np.full(N_EPOCHS * N_STEPS, LR))
    assert as_schedule(None) == as_schedule("constant") == Constant()


def test_cosine_stays_at_its_end():
    rates = course(Cosine(0.01, epochs=4))
    np.testing.assert_allclose(rates[: 4 * N_STEPS], course(Cosine(0.01), [0.5] * 4))
    assert np.all(rates[4 * N_STEPS :] == 0.01)


def test_one_cycle_is_by_default_around_the_optimisers_rate():
    assert np.array_equal(course(OneCycle()), course(OneCycle(LR)))
    for n_steps in (1, 2, 3):  # a run too short to rise
        assert np.all(np.isfinite(OneCycle().rates(LR, 0, 1, n_steps, 0, {})))


def test_a_function_is_asked_for_every_step():
    rates = course(as_schedule(lambda epoch, lr: lr / (1 + epoch)))
    np.testing.assert_allclose(rates, LR / (1 + np.arange(N_EPOCHS * N_STEPS) / N_STEPS), rtol=1e-14)
    with pytest.raises(ValueError, match=r"the schedule's rate at epoch 0\.2 must lie in \[0, inf\), got -1"):
        course(Function(lambda epoch, lr: -1 if epoch else lr))
    with pytest.raises(TypeError, match="the schedule's rate at epoch 0 must be a number, got None"):
        course(Function(lambda epoch, lr: None))


def test_warm_up_passes_on_what_its_schedule_watches():
    inner = Plateau(0.5, patience=2, monitor="val_cost")
    warm = WarmUp(inner, epochs=1)
    assert warm.monitor == "val_cost"
    costs = [0.5] * N_EPOCHS
    comp, ref = course(warm, costs, monitor="val_cost"), course(inner, costs, monitor="val_cost")
    assert ref[-1] < LR
    assert np.array_equal(comp[N_STEPS:], ref[N_STEPS:])
    assert comp[0] == pytest.approx(ref[0] / 10)
    assert WarmUp("adaptive", steps=3).observe(record(), {"lr": 1e-9, "best": 0.5, "waited": 9})
    assert WarmUp(steps=3).monitor is None


@pytest.mark.parametrize("schedule", [Plateau(patience=2, monitor="cost"), Adaptive(patience=2)])
def test_what_is_no_number_is_no_improvement(schedule):
    rates = course(schedule, [0.5, math.nan, math.nan, 0.4, 0.3], 1)
    assert rates.tolist() == pytest.approx([LR] * 3 + [LR * schedule.factor] * 2)
    assert course(schedule, [math.nan, math.nan, 0.4], 1)[2] == pytest.approx(LR * schedule.factor)


def test_watching_a_figure_that_is_not_there():
    with pytest.raises(ValueError, match="Plateau monitors 'val_cost', but there is no validation_data"):
        Plateau().observe(record(), {})


def test_state_is_the_trainers():
    schedule, mine, other = Adaptive(patience=1), {}, {}
    for _ in range(3):
        schedule.rates(LR, 0, 5, 2, 0, mine)
        schedule.observe(record(), mine)
    assert schedule == Adaptive(patience=1)
    assert schedule.rates(LR, 0, 5, 2, 0, other)[0] == LR
    assert schedule.rates(LR, 3, 5, 2, 0, mine)[0] == pytest.approx(LR / 25)


def test_own_subclass():
    class Ramp(Schedule):
        def rates(self, lr, epoch, n_epochs, n_steps, n_seen, state):
            return lr * np.linspace(0, 1, n_steps)

    schedule = Ramp()
    assert as_schedule(schedule) is schedule
    assert course(schedule)[N_STEPS - 1] == LR
    with pytest.raises(NotImplementedError):
        Schedule().rates(LR, 0, 1, 1, 0, {})


@pytest.mark.parametrize(
    "name", ["cosine", "cosine_restarts", "inverse_scaling", "one_cycle", "plateau", "adaptive"]
)
def test_names(name):
    assert type(as_schedule(name)).__name__.lower() == name.replace("_", "")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: as_schedule("cosin"), ValueError, r"got 'cosin'\. Did you mean 'cosine'\?"),
        (lambda: as_schedule(Cosine), TypeError, r"must be an object, got the class Cosine: use Cosine\("),
        (lambda: as_schedule(0.1), TypeError, "one of constant, .* or a function .* got 0.1"),
        (lambda: Function("cosine"), TypeError, "function must be a callable"),
        (lambda: Step(0), ValueError, "every must be at least 1, got 0"),
        (lambda: Step(2.5), TypeError, "every must be an integer, got 2.5"),
        (lambda: Step(2, 0), ValueError, r"factor must lie in \(0, inf\), got 0"),
        (lambda: Milestones(30), TypeError, "epochs must be a sequence of integers, got 30"),
        (lambda: Milestones([]), ValueError, "epochs must hold at least one number, in asc"),
        (lambda: Milestones([60, 30]), ValueError, r"epochs must .* in ascending order, got \[60, 30\]"),
        (lambda: Milestones([1.5]), TypeError, r"epochs\[0\] must be an integer"),
        (lambda: Exponential(-1), ValueError, r"factor must lie in \(0, inf\), got -1"),
        (lambda: InverseScaling("1"), TypeError, "power must be a number, got '1'"),
        (lambda: Cosine(-1), ValueError, r"min_lr must lie in \[0, inf\)"),
        (lambda: Cosine(epochs=0), ValueError, "epochs must be at least 1, got 0"),
        (lambda: CosineRestarts(0), ValueError, "period must be at least 1"),
        (lambda: CosineRestarts(2, 1.5), TypeError, "growth must be an integer"),
        (lambda: OneCycle(0), ValueError, r"max_lr must lie in \(0, inf\)"),
        (lambda: OneCycle(pct_start=1), ValueError, r"pct_start must lie in \(0, 1\)"),
        (lambda: OneCycle(div_factor=0.5), ValueError, r"div_factor must lie in \[1, inf\)"),
        (lambda: WarmUp(), ValueError, "WarmUp takes either epochs or steps, got epochs=None, steps=None"),
        (lambda: WarmUp(epochs=1, steps=1), ValueError, "either epochs or steps, got epochs=1, steps=1"),
        (lambda: WarmUp("cosin", epochs=1), ValueError, r"Did you mean 'cosine'\?"),
        (lambda: WarmUp(steps=3, start_factor=1), ValueError, r"start_factor must lie in \[0, 1\)"),
        (lambda: Plateau(factor=1), ValueError, r"factor must lie in \(0, 1\)"),
        (lambda: Plateau(monitor="val_loss"), ValueError, r"monitor must be .* Did you mean 'val_cost'\?"),
        (lambda: Adaptive(patience=0), ValueError, "patience must be at least 1"),
    ],
)  # fmt: skip
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
