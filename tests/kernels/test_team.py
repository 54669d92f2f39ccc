"""Synchronised threads: atomics, the handshake at the start, the barrier."""

from __future__ import annotations

import threading

import numba
import numpy as np
import pytest

from fastnn.kernels import team
from fastnn.kernels.sizes import PAD


@numba.njit
def add(words, index, value):
    return team.atomic_add(words, index, value)


@numba.njit
def decide(words, index, value):
    return team.atomic_decide(words, index, value)


@numba.njit
def load(words, index):
    return team.atomic_load(words, index)


@numba.njit(nogil=True)
def count(words, times):
    for _ in range(times):
        team.atomic_add(words, 1, 1)


def together(function, n_threads):
    """Call ``function(k)`` on Python threads; the kernels release the interpreter lock."""
    results = [None] * n_threads

    def work(k):
        results[k] = function(k)

    threads = [threading.Thread(target=work, args=(k,), daemon=True) for k in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive(), "a thread waits for ever"
    return results


def test_atomics():
    words = np.array([0, 5, 0])
    assert add(words, 1, 3) == 5
    assert load(words, 1) == 8
    assert decide(words, 2, 1) == 1  # the first decides
    assert decide(words, 2, 2) == 1
    np.testing.assert_array_equal(words, [0, 8, 1])


def test_no_addition_is_lost():
    words, times = np.zeros(3, np.int64), 200_000
    count(words, 0)  # compiled before the race
    together(lambda _: count(words, times), 3)
    np.testing.assert_array_equal(words, [0, 3 * times, 0])


def test_one_part_waits_for_nobody():
    words = team.new_team()
    assert team.team_assemble(words, 1)
    team.team_meet(words, 1)
    assert not words.any()


@pytest.mark.parametrize("n_parts", [2, 3, 5])
def test_assemble(n_parts):
    verdicts = set()
    for _ in range(20):
        words = team.new_team()
        verdicts.add(tuple(together(lambda _, words=words: team.team_assemble(words, n_parts), n_parts)))
    # All threads go on or none does; on a busy machine, some teams may not assemble in time.
    assert (True,) * n_parts in verdicts
    assert verdicts <= {(True,) * n_parts, (False,) * n_parts}


def test_who_stays_alone_gives_up_and_whoever_comes_late_too():
    words = team.new_team()
    assert not team.team_assemble(words, 3)
    assert not team.team_assemble(words, 3)
    assert not team.team_assemble(words, 3)  # all have arrived by now, but none goes on


@pytest.mark.parametrize("n_parts", [2, 3])
def test_meet(n_parts):
    words, done, behind = team.new_team(), np.zeros(n_parts, np.int64), []

    def work(k):
        for turn in range(1, 301):
            done[k] = turn
            team.team_meet(words, n_parts)
            behind.append(done.min() < turn)  # no thread may pass before all have arrived
            team.team_meet(words, n_parts)

    together(work, n_parts)
    assert len(behind) == 300 * n_parts
    assert not any(behind)


def test_words_do_not_share_cache_lines():
    places = sorted([team._ARRIVED, team._VERDICT, team._MET, team.TEAM_WORDS])
    assert min(np.diff(places)) * 8 >= 128
    assert team.new_team().shape == (team.TEAM_WORDS,)


@pytest.mark.parametrize("n_parts", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [0, 1, 6, 100])
def test_shares_follow_each_other(n_parts, n):
    starts = [team.share_start(part, n_parts, n) for part in range(n_parts + 1)]
    assert (starts[0], starts[-1]) == (0, n)
    assert set(np.diff(starts)) <= {n // n_parts, -(-n // n_parts)}


@pytest.mark.parametrize("n_parts", [1, 2, 5])
@pytest.mark.parametrize("n_cols", [1, PAD, 3 * PAD + 5])
def test_owned_columns_are_whole_lines(n_parts, n_cols):
    ends = [team.owned_columns(part, n_parts, n_cols) for part in range(n_parts)]
    assert [o0 for o0, _ in ends[1:]] == [o1 for _, o1 in ends[:-1]]
    assert (ends[0][0], ends[-1][1]) == (0, -(-n_cols // PAD) * PAD)
    assert all(o0 % PAD == 0 for o0, _ in ends)
