"""Could pruning have thrown away good runs?"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bakeoff.analysis.comparison import compare
from bakeoff.analysis.pruning import ALL_ARMS, pruning_regrets, rung_audits, spearman
from bakeoff.records import EpochResult, StudyRecord, TrialRecord
from bakeoff.report.figures.pruning_audit import FIGURE as PRUNING_AUDIT, compute_pruning_audit
from record_examples import example_record

BASE = example_record(num_arms=2, num_seeds=0, defaults=False)


def trial(number: int, arm: str, early: float, final: float, **changes: object) -> TrialRecord:
    history = tuple(
        EpochResult(epoch=epoch, metrics={"accuracy": value})
        for epoch, value in ((1, early - 0.1), (2, early), (8, final))
    )
    record = TrialRecord(
        number=number, arm=arm, params={}, outcome="complete", score=final, history=history,
        epochs_planned=8, audited=True, decision_epochs=(2,),
    )  # fmt: skip
    return replace(record, **changes)  # type: ignore[arg-type]


def record_of(trials: Sequence[TrialRecord]) -> StudyRecord:
    return replace(BASE, trials=tuple(trials))


@pytest.mark.parametrize(("sign", "expected"), [(1, 1.0), (-1, -1.0)])
def test_a_rung_that_predicts_the_end_or_its_opposite(sign: int, expected: float) -> None:
    record = record_of([trial(n, "sgd", 0.5 + sign * 0.01 * n, 0.8 + 0.01 * n) for n in range(10)])
    found = {row.arm: row for row in rung_audits(record)}
    assert found["sgd"].estimate == pytest.approx(expected)
    assert found["sgd"].better_half == pytest.approx(expected)
    assert (found["sgd"].rung, found["sgd"].progress, found["sgd"].n) == (1, 0.25, 10)


def test_arms_are_pooled_by_ranks_within_each() -> None:
    """Perfect within each arm, although the arm that is ahead early is behind in the end."""
    trials = [trial(n, "sgd", 0.9 + 0.001 * n, 0.5 + 0.001 * n) for n in range(6)]
    trials += [trial(6 + n, "adam", 0.1 + 0.001 * n, 0.8 + 0.001 * n) for n in range(6)]
    (pooled,) = [row for row in rung_audits(record_of(trials)) if row.arm == ALL_ARMS]
    assert pooled.estimate == pytest.approx(1.0)
    assert pooled.n == 12


def test_regret_counts_the_best_tenth_that_pruning_would_have_ended() -> None:
    trials = [
        trial(n, "sgd", 0.5, 0.8 + 0.001 * n, spared_at=2 if n in {3, 19} else None)
        for n in range(20)
    ]
    (found,) = pruning_regrets(record_of(trials))
    assert (found.n, found.would_end, found.top, found.top_would_end) == (20, 2, 2, 1)
    assert found.regret == 0.5
    assert found.ci == pytest.approx((0.0945, 0.9055), abs=1e-4)


def test_only_complete_audited_search_trials_count() -> None:
    kept = trial(0, "sgd", 0.5, 0.8)
    others = [
        trial(1, "sgd", 0.5, 0.9, audited=False),
        trial(2, "sgd", 0.5, 0.9, outcome="pruned"),
        trial(3, "sgd", 0.5, 0.9, score=None),
        trial(4, "sgd", 0.5, 0.9, phase="default"),
    ]
    (found,) = pruning_regrets(record_of([kept, *others]))
    assert found.n == 1


def test_a_metric_to_be_minimised_has_its_best_at_the_bottom() -> None:
    record = record_of(
        [trial(n, "sgd", 0.5 + 0.01 * n, 0.8 + 0.01 * n, spared_at=2 if n == 0 else None)
         for n in range(10)]
    )  # fmt: skip
    lower = replace(record, objective=replace(record.objective, direction="minimize"))
    assert pruning_regrets(record)[0].regret == 0.0
    assert pruning_regrets(lower)[0].regret == 1.0


def test_few_audited_trials_give_no_correlation_and_no_trials_give_no_table() -> None:
    assert rung_audits(record_of([trial(n, "sgd", 0.5, 0.8) for n in range(4)])) == ()
    assert pruning_regrets(BASE) == ()
    assert compute_pruning_audit(compare(BASE)) == ()


def test_equal_values_have_no_order() -> None:
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))
    record = record_of([trial(n, "sgd", 0.5, 0.8 + 0.01 * n) for n in range(6)])
    assert compute_pruning_audit(compare(record)) == ()


def test_the_figure_and_its_caption_give_the_counts() -> None:
    trials = [
        trial(n, arm, 0.5 + 0.01 * n, 0.8 + 0.01 * n, spared_at=2 if n == 9 else None)
        for arm in ("sgd", "adam")
        for n in range(10)
    ]
    comparison = compare(record_of([replace(t, number=i) for i, t in enumerate(trials)]))
    rows = compute_pruning_audit(comparison)
    assert {row.arm for row in rows} == {"sgd", "adam", ALL_ARMS}
    assert len(PRUNING_AUDIT.draw(rows, comparison).data) == 3
    assert "2 of the best 2 (all arms, n = 20)" in PRUNING_AUDIT.caption(comparison)
