import json
import random
from collections import Counter
from dataclasses import replace

import optuna
import pytest
import sqlalchemy

from bakeoff.commands.verbs.status import status
from bakeoff.driver import Driver, InterruptedStudyError, StopRequest
from bakeoff.driver.loop import MAX_STARTS
from bakeoff.engines.follow import MAX_ATTEMPTS
from bakeoff.engines.protocol import Died, Epoch, Finished, Halted, Started
from bakeoff.errors import SpaceChangedError, StorageError, WorkersLostError
from bakeoff.search.arms import Search
from bakeoff.search.confirm import Confirmation
from bakeoff.search.deadline import Deadline
from bakeoff.space import build_arms, check_extension, check_unchanged
from bakeoff.storage import Storage
from bakeoff.studyfile import resolve_study
from study_examples import (
    SilentObserver,
    SimulatedEngine,
    smooth_curve,
    study_document,
    study_facts,
)

CONFIG = resolve_study(study_document())


class Session:
    """One driver on a storage. A second session on the same storage continues the study."""

    def __init__(self, url, folder, engine=None, config=CONFIG, stop=None, extends=False):
        self.storage = Storage(url, create=True)
        if not self.storage.has(config.name):
            self.storage.create(config, study_facts())
        elif extends:
            self.storage.extend(config, check_extension(self.storage.load_config("toy"), config))
        self.config = config
        self.engine = engine or SimulatedEngine()
        self.observer = SilentObserver()
        self.stop = stop or StopRequest()
        self.driver = Driver(
            config=config,
            facts=study_facts(),
            storage=self.storage,
            engine=self.engine,
            observer=self.observer,
            stop=self.stop,
            checkpoints=folder / "checkpoints",
            weights=folder / "weights",
        )

    def search(self):
        self.source = Search(self.config, build_arms(self.config), "maximize")
        return self.driver.drive(self.source, "search")

    def confirm(self):
        record = self.storage.load_record("toy")
        source = Confirmation(self.config, build_arms(self.config), record.trials, record.objective)
        return self.driver.drive(source, "confirm")

    def trials(self):
        return self.storage.load_record("toy").trials

    def confirmations(self):
        return self.storage.load_record("toy").confirmations


@pytest.fixture
def session(storage_url, tmp_path):
    def build(**changes):
        return Session(storage_url, tmp_path, **changes)

    return build


@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_every_arm_is_charged_exactly_its_budget_with_any_number_of_workers(session, num_workers):
    one = session(engine=SimulatedEngine(num_workers))
    assert one.search() == 14
    counts = Counter(trial.arm for trial in one.trials() if trial.phase != "default")
    assert counts == {"sgd": 6, "adam": 6}
    assert {arm: charged.trials for arm, charged in one.source.ledger.charges.items()} == counts


def test_a_complete_search_trains_nothing_when_run_again(session):
    session().search()
    again = session()
    assert again.search() == 0
    assert again.engine.submitted == []
    assert len(again.observer.restored_runs) == 14


def test_the_score_is_that_of_the_best_epoch(session):
    one = session()
    one.search()
    for trial in one.trials():
        assert trial.score == max(trial.values("accuracy"))


def test_a_diverged_trial_is_complete_with_an_untrained_models_score(session):
    engine = SimulatedEngine(diverges=lambda trial: trial.optimizer_params["learning_rate"] > 0.1)
    one = session(engine=engine)
    one.search()
    diverged = [trial for trial in one.trials() if trial.outcome == "diverged"]
    assert diverged
    assert {trial.score for trial in diverged} == {0.1}
    assert {trial.stop_reason for trial in diverged} == {"not finite in epoch 1"}


def test_a_pruned_trial_is_stopped_at_its_decision_and_keeps_its_best(session):
    one = session()
    one.search()
    pruned = [trial for trial in one.trials() if trial.outcome == "pruned"]
    assert pruned
    for trial in pruned:
        assert 2 <= trial.epochs_run < 4
        assert trial.score == max(trial.values("accuracy"))
        assert trial.stop_reason == f"behind its cohort at epoch {trial.epochs_run}"


def test_a_run_whose_worker_died_continues_as_the_same_trial(session):
    one = session(engine=SimulatedEngine(dies_at={"search-3": 1}))
    one.search()
    attempts = {trial.number: trial.attempts for trial in one.trials()}
    assert attempts[3] == 2
    assert set(attempts.values()) == {1, 2}
    assert one.observer.notes == [
        "search-3: worker ended by SIGKILL; continuing from its checkpoint"
    ]


def test_a_run_that_keeps_killing_workers_is_given_up_and_charged(session):
    one = session(engine=SimulatedEngine(dies_at={"search-3": 99}))
    one.search()
    failed = one.trials()[3]
    assert (failed.outcome, failed.attempts) == ("failed", MAX_ATTEMPTS)
    assert failed.stop_reason == (
        "worker ended by SIGKILL (3 workers lost without a new epoch, 3 in all)"
    )
    assert one.source.ledger.charges[failed.arm].trials == 6


class LosingWorkersEngine(SimulatedEngine):
    """Kills the worker of one run `deaths` times, then stops the study at once."""

    def __init__(self, stop, run, deaths):
        super().__init__(dies_at={run: deaths})
        self._stop, self._run = stop, run

    def events(self, timeout):
        if not self._dies_at[self._run]:
            self._stop.count = 2
        return super().events(timeout)


def test_attempts_are_counted_over_sessions(session):
    stop = StopRequest()
    first = session(engine=LosingWorkersEngine(stop, "search-3", MAX_ATTEMPTS - 1), stop=stop)
    with pytest.raises(InterruptedStudyError):
        first.search()
    running = first.trials()[3]
    assert (running.outcome, running.attempts) == ("running", MAX_ATTEMPTS)
    deaths = {"search-3": 99}
    again = session(engine=SimulatedEngine(dies_at=deaths))
    again.search()
    failed = again.trials()[3]
    assert (failed.outcome, failed.attempts, deaths["search-3"]) == ("failed", MAX_ATTEMPTS, 98)
    assert failed.stop_reason == (
        "worker ended by SIGKILL (3 workers lost without a new epoch, 3 in all)"
    )


def test_a_run_that_makes_progress_may_lose_any_number_of_workers(session):
    class AdvancingEngine(SimulatedEngine):
        """Each worker of search-3 dies one epoch later than the one before."""

        deaths = 0

        def events(self, timeout):
            run = self._turns[0]
            if (
                run == "search-3"
                and self.deaths < MAX_ATTEMPTS
                and self._epochs[run] == 1 + self.deaths
            ):
                self.deaths += 1
                self._turns.popleft()
                self._turns.append(run)
                return [self._end(run, Died(run=run, reason="worker ended by SIGKILL"))]
            return super().events(timeout)

    one = session(engine=AdvancingEngine())
    one.search()
    survived = one.trials()[3]
    assert (survived.outcome, survived.attempts) == ("complete", 1 + MAX_ATTEMPTS)


def test_workers_that_end_before_any_run_began_end_the_study_and_charge_no_trial(session):
    class BrokenEngine(SimulatedEngine):
        def events(self, timeout):
            run = self._turns[0]
            reason = "worker ended by SIGKILL; out of memory?"
            return [self._end(run, Died(run=run, reason=reason, was_training=False))]

    one = session(engine=BrokenEngine())
    with pytest.raises(WorkersLostError, match=r"3 workers in a row .* SIGKILL; out of memory"):
        one.search()
    assert [trial.outcome for trial in one.trials()] == ["running"]
    again = session(engine=SimulatedEngine())
    again.search()
    assert all(trial.outcome != "failed" for trial in again.trials())


class EndedTogetherEngine(SimulatedEngine):
    """The signal that stops the study also kills the worker."""

    def __init__(self, stop, run):
        super().__init__(dies_at={run: 1})
        self._stop, self._run = stop, run

    def events(self, timeout):
        found = super().events(timeout)
        self._stop.count = int(any(isinstance(event, Died) for event in found))
        return found


def test_a_worker_lost_while_the_study_stops_does_not_count_as_an_attempt(session):
    for _ in range(MAX_ATTEMPTS):
        stop = StopRequest()
        one = session(engine=EndedTogetherEngine(stop, "search-3"), stop=stop)
        with pytest.raises(InterruptedStudyError):
            one.search()
        assert one.trials()[3].outcome == "running"
    last = session()
    last.search()
    assert {trial.attempts for trial in last.trials()} == {1}
    assert last.trials()[3].outcome in ("complete", "pruned")


def test_dead_workers_change_no_result(session, storage_url, tmp_path):
    one = session(engine=SimulatedEngine(dies_at={"search-1": 1, "search-6": 2, "search-13": 1}))
    one.search()
    calm = Session(f"sqlite:///{tmp_path / 'calm.db'}", tmp_path)
    calm.search()
    assert [result_of(trial) for trial in one.trials()] == [
        result_of(trial) for trial in calm.trials()
    ]


def result_of(trial):
    values = trial.values("accuracy")
    return trial.number, trial.arm, trial.params, trial.outcome, trial.score, trial.seed, values


class InterruptedEngine(SimulatedEngine):
    """Requests a stop, once or twice, after a number of calls."""

    def __init__(self, stop, after, count, num_workers=1):
        super().__init__(num_workers)
        self._stop, self._left, self._count = stop, after, count

    def events(self, timeout):
        self._left -= 1
        if self._left == 0:
            self._stop.count = self._count
        return super().events(timeout)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("num_workers", [1, 3])
def test_an_interrupted_search_continues_with_the_same_trials(
    session, tmp_path, count, num_workers
):
    rng = random.Random(count * 10 + num_workers)
    for _ in range(6):
        stop = StopRequest()
        engine = InterruptedEngine(stop, rng.randint(2, 8), count, num_workers)
        with pytest.raises(InterruptedStudyError):
            session(engine=engine, stop=stop).search()
    last = session(engine=SimulatedEngine(num_workers))
    last.search()
    assert [trial.number for trial in last.trials()] == list(range(14))
    assert {trial.outcome for trial in last.trials()} <= {"complete", "pruned"}
    counts = Counter(trial.arm for trial in last.trials() if trial.phase != "default")
    assert counts == {"sgd": 6, "adam": 6}
    if num_workers == 1:
        calm = Session(f"sqlite:///{tmp_path / 'calm.db'}", tmp_path)
        calm.search()
        assert [result_of(trial) for trial in last.trials()] == [
            result_of(trial) for trial in calm.trials()
        ]


class FullDiskEngine(SimulatedEngine):
    """Cannot write the checkpoint of one run."""

    def events(self, timeout):
        run = self._turns[0]
        if run == "search-2":
            return [self._end(run, Halted(run=run, reason="no room"))]
        return super().events(timeout)


def test_a_full_disk_stops_the_study_and_costs_no_trial(session, tmp_path):
    with pytest.raises(
        StorageError, match="no room; when this is mended, the same command continues"
    ):
        session(engine=FullDiskEngine()).search()
    assert session().trials()[2].outcome == "running"
    last = session()
    last.search()
    calm = Session(f"sqlite:///{tmp_path / 'calm.db'}", tmp_path)
    calm.search()
    assert [result_of(trial) for trial in last.trials()] == [
        result_of(trial) for trial in calm.trials()
    ]


def test_the_exit_code_tells_an_interrupt_from_a_termination(session):
    stop = StopRequest()
    stop.ask(15, None)
    with pytest.raises(InterruptedStudyError) as caught:
        session(stop=stop).search()
    assert caught.value.exit_code == 143


def test_a_resumed_run_that_differs_says_so(session):
    stop = StopRequest()
    with pytest.raises(InterruptedStudyError):
        session(engine=InterruptedEngine(stop, 2, 2), stop=stop).search()
    other = SimulatedEngine(curve=lambda trial, epoch: smooth_curve(trial, epoch) + 1e-6)
    one = session(engine=other)
    one.search()
    assert one.trials()[0].stop_reason == "resumed, not bit-identical from epoch 1"
    assert one.trials()[5].stop_reason != one.trials()[0].stop_reason


def test_the_test_set_is_read_by_the_confirmation_of_choices_and_defaults_only(session):
    one = session()
    one.search()
    one.confirm()
    assert not any(trial.test_metrics for trial in one.trials())
    by_purpose = {
        purpose: [run for run in one.confirmations() if run.purpose == purpose]
        for purpose in ("shortlist", "confirm", "default")
    }
    assert not any(run.test_metrics for run in by_purpose["shortlist"])
    assert all(run.test_metrics for run in by_purpose["confirm"] + by_purpose["default"])
    reads = Counter(job.run for job in one.engine.submitted if job.reads_test)
    assert set(reads.values()) == {1}
    assert len(reads) == 2 * 2 + 2 * 2


def test_confirmation_continues_after_an_interrupt_without_repeating_a_run(session):
    session().search()
    stop = StopRequest()
    with pytest.raises(InterruptedStudyError):
        session(engine=InterruptedEngine(stop, 9, 1), stop=stop).confirm()
    last = session()
    last.confirm()
    runs = [(run.arm, run.purpose, run.configuration, run.seed) for run in last.confirmations()]
    assert len(runs) == len(set(runs)) == 2 * (2 * 2 + 2 + 2)
    assert {run.outcome for run in last.confirmations()} == {"complete"}


def test_the_checkpoints_of_ended_runs_are_removed(session, tmp_path):
    folder = tmp_path / "checkpoints" / "search-0"
    folder.mkdir(parents=True)
    session().search()
    assert not folder.exists()


# ---------------------------------------------------------------- halving

HALVING = resolve_study(
    study_document(
        training={"epochs": 12},
        search={
            "pruner": "halving",
            "sampler": "random",
            "schedulers": ["constant"],
            "trials_per_arm": 6,
            "defaults": False,
        },
    )
)


@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_paused_trials_are_promoted_or_pruned_and_every_arm_gets_its_budget(session, num_workers):
    one = session(engine=SimulatedEngine(num_workers), config=HALVING)
    one.search()
    trials = one.trials()
    assert Counter(trial.arm for trial in trials) == {"sgd": 6, "adam": 6}
    charges = one.source.ledger.charges
    for arm in ("sgd", "adam"):
        of_arm = [trial for trial in trials if trial.arm == arm]
        assert charges[arm].trials == 6
        assert charges[arm].epochs == sum(trial.epochs_run for trial in of_arm)
        assert {"complete", "pruned"} == {trial.outcome for trial in of_arm}
    assert {one.epochs_run for one in trials if one.outcome == "complete"} == {12}
    assert {one.epochs_run for one in trials if one.outcome == "pruned"} <= {2, 3, 4, 5, 6}
    assert not any(trial.is_paused for trial in trials)
    ended = one.observer.ended_runs
    assert len(ended) == len(set(ended)) == 12


def test_a_promoted_trial_is_submitted_again_and_keeps_its_number(session):
    one = session(config=HALVING)
    one.search()
    submissions = Counter(job.run for job in one.engine.submitted)
    paused = Counter(run for run, _ in one.observer.paused_runs)
    assert max(submissions.values()) > 1
    assert {run: count for run, count in submissions.items() if count > 1 + paused[run]} == {}


def pause_some(session, config=HALVING):
    """A session that was killed when at least one trial was paused."""
    for after in range(8, 200, 3):
        stop = StopRequest()
        one = session(engine=InterruptedEngine(stop, after, 2), stop=stop, config=config)
        with pytest.raises(InterruptedStudyError):
            one.search()
        if any(trial.is_paused for trial in one.trials()):
            return one
    raise AssertionError("no trial was ever paused")


def test_a_paused_trial_is_stored_with_its_measurements(session):
    one = pause_some(session)
    paused = next(trial for trial in one.trials() if trial.is_paused)
    assert (paused.outcome, paused.epochs_run) == ("running", 2)
    assert [result.train_seconds for result in paused.history] == [1.0, 1.0]


def test_the_status_shows_what_is_paused(session, storage_url, tmp_path, capsys):
    paused = [trial for trial in pause_some(session).trials() if trial.is_paused]
    status("toy", output=tmp_path, storage=storage_url, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert sum(arm["paused"] for arm in shown["arms"]) == len(paused)
    names = {f"search-{trial.number}" for trial in paused}
    assert names.isdisjoint(run["run"] for run in shown["running"])


def test_a_trial_paused_in_an_earlier_session_is_pruned_with_its_measurements(session):
    one = pause_some(session)
    paused = {trial.number for trial in one.trials() if trial.is_paused}
    again = session(config=HALVING)
    again.search()
    restored = {run for run, _ in again.observer.paused_runs[: len(paused)]}
    assert restored == {f"search-{number}" for number in paused}
    pruned = [one for one in again.trials() if one.number in paused and one.outcome == "pruned"]
    for trial in pruned:
        assert trial.train_seconds == trial.epochs_run
        assert trial.score == max(trial.values("accuracy"))


@pytest.mark.parametrize("num_workers", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_kills_and_interrupts_change_no_decision_of_one_worker_and_no_budget_of_several(
    session, tmp_path, num_workers, seed
):
    rng = random.Random(seed)
    for _ in range(5):
        stop = StopRequest()
        engine = InterruptedEngine(stop, rng.randint(3, 12), rng.choice([1, 2]), num_workers)
        with pytest.raises(InterruptedStudyError):
            session(engine=engine, stop=stop, config=HALVING).search()
    last = session(engine=SimulatedEngine(num_workers), config=HALVING)
    last.search()
    assert [trial.number for trial in last.trials()] == list(range(12))
    assert {trial.outcome for trial in last.trials()} == {"complete", "pruned"}
    if num_workers == 1:
        calm = Session(f"sqlite:///{tmp_path / 'calm.db'}", tmp_path, config=HALVING)
        calm.search()
        assert [result_of(trial) for trial in last.trials()] == [
            result_of(trial) for trial in calm.trials()
        ]


def test_a_worker_that_dies_at_any_rung_changes_no_result(session, tmp_path):
    dies_at = {f"search-{number}": 1 for number in range(0, 12, 3)}
    one = session(engine=SimulatedEngine(dies_at=dies_at), config=HALVING)
    one.search()
    calm = Session(f"sqlite:///{tmp_path / 'calm.db'}", tmp_path, config=HALVING)
    calm.search()
    assert [result_of(trial) for trial in one.trials()] == [
        result_of(trial) for trial in calm.trials()
    ]


def test_machines_that_are_lost_cost_a_run_nothing_and_are_counted_apart(session):
    class LosingEngine(SimulatedEngine):
        """Loses the machine of the first run again and again, before its first epoch."""

        lost = 0

        def events(self, timeout):
            run = self._turns[0]
            if run == "search-0" and self.lost < MAX_STARTS + 2:
                self.lost += 1
                lost = Died(run=run, reason="node 7 is gone", cause="node", node="7")
                return [self._end(run, replace(lost, was_training=False))]
            return super().events(timeout)

    one = session(engine=LosingEngine())
    one.search()
    first = one.trials()[0]
    assert (first.outcome, first.attempts) == ("complete", 1 + MAX_STARTS + 2)


def test_what_an_earlier_attempt_still_sends_is_ignored(session):
    class LateEngine(SimulatedEngine):
        """Lets a worker that was given up send what it measured afterwards."""

        def events(self, timeout):
            events = super().events(timeout)
            told = [one for one in events if isinstance(one, Epoch)]
            late = [
                replace(one, attempt=0, result=replace(one.result, metrics={"accuracy": 0.999}))
                for one in told
            ]
            return [*late, *(Finished(run=one.run, attempt=0, outcome="failed", test_metrics={})
                             for one in told), *events]  # fmt: skip

    one = session(engine=LateEngine())
    one.search()
    assert {trial.outcome for trial in one.trials()} == {"complete", "pruned"}
    assert max(trial.score for trial in one.trials()) < 0.96


def test_a_run_of_the_confirmation_knows_the_best_score_of_its_configuration_so_far(session):
    one = session()
    one.search()
    one.confirm()
    jobs = [job for job in one.engine.submitted if job.keeps_weights]
    best = {}
    for job in jobs:
        record = next(r for r in one.confirmations() if f"confirm-{r.number}" == job.run)
        assert job.rivals == f"{record.arm} {record.configuration}"
        assert job.score_to_reach == best.get(job.rivals)
        best[job.rivals] = max(record.score, best.get(job.rivals, record.score))
    assert len(best) == 2
    assert len(jobs) == 4


def test_the_number_of_loader_processes_is_noted_once(session):
    class LoadingEngine(SimulatedEngine):
        """Says with how many processes its workers fetch samples."""

        def events(self, timeout):
            text = "a worker fetches samples with 2 loader processes (timed: 0, 2)"
            return [
                replace(one, loading=text) if isinstance(one, Finished) else one
                for one in super().events(timeout)
            ]

    one = session(engine=LoadingEngine())
    one.search()
    text = "a worker fetches samples with 2 loader processes (timed: 0, 2)"
    assert one.observer.notes == [text]
    assert one.storage.load_record("toy").notes == (text,)


class DyingWhilePausingEngine(SimulatedEngine):
    """Kills the worker of the first run that is asked to pause."""

    def reply(self, run, reply):
        if reply == "pause" and not self._dies_at:
            self._dies_at[run] = 1
        super().reply(run, reply)

    def events(self, timeout):
        run = self._turns[0]
        if self._replies.get(run) == "pause" and self._dies_at.get(run) == 1:
            self._dies_at[run] = 0
            self._turns.rotate(-1)
            return [self._end(run, Died(run=run, reason="worker ended by SIGKILL"))]
        return super().events(timeout)


def test_a_run_whose_worker_dies_while_it_pauses_is_paused(session, tmp_path):
    one = session(engine=DyingWhilePausingEngine(), config=HALVING)
    one.search()
    calm = Session(f"sqlite:///{tmp_path / 'calm.db'}", tmp_path, config=HALVING)
    calm.search()
    assert len(one.observer.notes) == 1
    assert [result_of(trial) for trial in one.trials()] == [
        result_of(trial) for trial in calm.trials()
    ]


def test_audited_trials_and_their_exemptions_are_stored_and_survive_a_restart(session):
    rng = random.Random(1)
    for _ in range(6):
        stop = StopRequest()
        engine = InterruptedEngine(stop, rng.randint(3, 12), rng.choice([1, 2]))
        with pytest.raises(InterruptedStudyError):
            session(engine=engine, stop=stop, config=HALVING).search()
    last = session(config=HALVING)
    last.search()
    audited = [trial for trial in last.trials() if trial.audited]
    assert [trial.arm for trial in audited] == ["sgd", "adam"]
    assert {trial.outcome for trial in audited} == {"complete"}
    assert all(2 <= min(trial.decision_epochs) < 12 for trial in last.trials())
    spared = [trial for trial in last.trials() if trial.spared_at is not None]
    assert spared
    assert {trial.audited for trial in spared} == {True}
    assert all(trial.spared_at in trial.decision_epochs for trial in spared)


def test_a_note_of_the_search_is_stored_once_and_shown(session, storage_url, tmp_path, capsys):
    misleading = SimulatedEngine(
        curve=lambda trial, epoch: (
            0.3 * (trial.seed % 97) / 97 + (1 - (trial.seed % 97) / 97) * epoch / 12
        )
    )
    document = study_document(
        training={"epochs": 12},
        search={"pruner": "median", "sampler": "random", "schedulers": ["constant"],
                "optimizers": ["sgd"], "trials_per_arm": 20, "audit": 0.5, "defaults": False},
    )  # fmt: skip
    config = resolve_study(document)
    one = session(engine=misleading, config=config)
    one.search()
    session(config=config).search()
    (note,) = one.storage.load_record("toy").notes
    assert one.observer.notes == [note]
    assert note.startswith("pruning is off for sgd, constant")
    status("toy", output=tmp_path, storage=storage_url, as_json=False)
    assert f"note: {note}" in " ".join(capsys.readouterr().out.split())


class SlowlyPausingEngine(SimulatedEngine):
    """A worker that is asked to pause releases its run only when no other run can continue."""

    def events(self, timeout):
        for _ in range(len(self._turns)):
            if self._replies.get(self._turns[0]) != "pause":
                break
            self._turns.rotate(-1)
        return super().events(timeout)


@pytest.mark.parametrize("num_workers", [2, 4])
def test_a_run_may_be_promoted_while_its_worker_is_about_to_pause(session, num_workers):
    many = replace(HALVING, search=replace(HALVING.search, trials_per_arm=12))
    one = session(engine=SlowlyPausingEngine(num_workers), config=many)
    one.search()
    assert Counter(trial.arm for trial in one.trials()) == {"sgd": 12, "adam": 12}
    assert {trial.outcome for trial in one.trials()} == {"complete", "pruned"}
    assert not any(trial.is_paused for trial in one.trials())
    assert {trial.epochs_run for trial in one.trials() if trial.outcome == "complete"} == {12}


# ---------------------------------------------------------------- extension


def larger(trials_per_arm=9, optimizers=("sgd", "adam", "rmsprop"), **changes):
    search = {"optimizers": list(optimizers), "trials_per_arm": trials_per_arm}
    return resolve_study(study_document(search=search, confirm={"seeds": 3}, **changes))


def test_an_extended_study_keeps_its_trials_and_gives_every_arm_the_new_budget(session):
    session().search()
    before = session().trials()
    more = session(config=larger(), extends=True)
    more.search()
    trials = more.trials()
    assert repr(trials[: len(before)]) == repr(before)
    counts = Counter(trial.arm for trial in trials if trial.phase != "default")
    assert counts == {"sgd": 9, "adam": 9, "rmsprop": 9}
    assert [trial.arm for trial in trials if trial.phase == "default"] == ["sgd", "adam", "rmsprop"]
    assert len({trial.seed for trial in trials if trial.arm == "sgd"}) == 10
    record = more.storage.load_record("toy")
    assert record.trials_per_arm == 9
    assert "search.trials_per_arm: 6 -> 9" in record.notes[0]
    assert record.changed_after_results == ()
    assert session(config=larger()).search() == 0


def test_an_extended_study_is_still_one_that_optuna_can_load(session, storage_url):
    """Optuna does not allow new choices, so a new arm is identified by its attribute."""
    session().search()
    session(config=larger(), extends=True).search()
    frame = optuna.load_study(study_name="toy", storage=storage_url).trials_dataframe()
    added = frame[frame["user_attrs_arm"] == "rmsprop"]
    assert len(added) == 10
    assert added["params_optimizer"].isna().all()
    assert added["params_rmsprop.learning_rate"].notna().sum() >= 9


def test_an_extended_study_confirms_old_and_new_arms(session):
    one = session()
    one.search()
    one.confirm()
    more = session(config=larger(), extends=True)
    more.search()
    before = len(more.confirmations())
    more.confirm()
    runs = [(run.arm, run.purpose, run.configuration, run.seed) for run in more.confirmations()]
    assert len(runs) == len(set(runs)) > before
    assert {run[0] for run in runs if run[1] == "confirm"} == {"sgd", "adam", "rmsprop"}
    changes = more.storage.load_record("toy").changed_after_results
    assert "search.trials_per_arm: 6 -> 9" in changes


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (larger(trials_per_arm=5), "search.trials_per_arm: fewer"),
        (larger(optimizers=("sgd", "rmsprop")), "the space of adam changed or is missing"),
        (larger(training={"epochs": 9}), "training.epochs: 4 -> 9"),
        (larger(space={"sgd": {"momentum": 0.5}}), "the space of sgd changed"),
    ],
    ids=["fewer trials", "fewer arms", "epochs", "space"],
)
def test_a_change_that_is_not_an_extension_is_refused(config, message):
    with pytest.raises(
        SpaceChangedError, match="can be extended by a larger budget, arms"
    ) as caught:
        check_extension(CONFIG, config)
    assert message in str(caught.value)


def test_the_error_for_added_trials_names_the_extend_option():
    with pytest.raises(SpaceChangedError, match="add them with --extend"):
        check_unchanged(CONFIG, larger())
    with pytest.raises(SpaceChangedError) as caught:
        check_unchanged(CONFIG, larger(trials_per_arm=5))
    assert "--extend" not in str(caught.value)


def test_a_run_that_is_stopped_because_the_time_is_up_says_so(session):
    one = session(engine=SimulatedEngine(2), config=HALVING)
    deadline = Deadline(
        seconds=30,
        num_workers=1,
        confirmation_epochs=0,
        run_epochs=12,
        clock=lambda: float(sum(one.engine._epochs.values())),  # noqa: SLF001
    )
    deadline.is_near = lambda owed: False
    one.source = Search(HALVING, build_arms(HALVING), "maximize", deadline)
    one.driver.drive(one.source, "search")
    reasons = {trial.stop_reason for trial in one.trials() if trial.outcome == "pruned"}
    assert any(reason.startswith("the time for the search was up after") for reason in reasons)


# ---------------------------------------------------------------- budgets in epochs


def in_epochs(epochs_per_arm, pruner="halving", **search):
    search = {"trials_per_arm": None, "epochs_per_arm": epochs_per_arm, "pruner": pruner, **search}
    return resolve_study(study_document(training={"epochs": 8}, search=search))


def epochs_of(trials):
    counts = Counter()
    for trial in trials:
        if trial.phase != "default":
            counts[trial.arm] += trial.epochs_run
    return counts


@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_the_stored_epochs_of_every_arm_stay_within_its_budget(session, num_workers):
    one = session(engine=SimulatedEngine(num_workers), config=in_epochs(60))
    one.search()
    stored = epochs_of(one.trials())
    assert all(60 - 8 < epochs <= 60 for epochs in stored.values())
    assert {arm: charged.epochs for arm, charged in one.source.ledger.charges.items()} == stored
    assert session(config=in_epochs(60)).search() == 0


@pytest.mark.parametrize("pruner", ["halving", "median"])
def test_a_search_in_epochs_that_is_stopped_several_times_gives_the_same_trials(
    session, tmp_path, pruner
):
    config = in_epochs(50, pruner)
    calm = Session(f"sqlite:///{tmp_path / 'calm.db'}", tmp_path, config=config)
    calm.search()
    for count in (9, 31, 14):
        with pytest.raises(StopIteration):
            session(engine=EndingEngine(count), config=config).search()
    session(config=config).search()
    found = [replace(one, lost_drivers=0) for one in session(config=config).trials()]
    assert repr(found) == repr([*calm.trials()])


class EndingEngine(SimulatedEngine):
    """Ends the driver after a number of events."""

    def __init__(self, count):
        super().__init__()
        self._left = count

    def events(self, timeout):
        if not self._left:
            raise StopIteration
        self._left -= 1
        return super().events(timeout)


def test_a_study_in_epochs_is_extended_by_epochs(session):
    session(config=in_epochs(40)).search()
    before = session(config=in_epochs(40)).trials()
    more = session(config=in_epochs(72), extends=True)
    more.search()
    assert repr(more.trials()[: len(before)]) == repr(before)
    assert all(72 - 8 < epochs <= 72 for epochs in epochs_of(more.trials()).values())
    assert "search.epochs_per_arm: 40 -> 72" in more.storage.load_record("toy").notes[0]


class PollEngine(SimulatedEngine):
    """Returns an event of every run in one poll, and looks at what is stored when it is called."""

    def __init__(self, num_workers, url):
        super().__init__(num_workers)
        self._url = url
        self.commits = []
        """Transactions of the driver since the last poll."""
        self.num_commits = []
        """Their numbers, by poll."""
        self.num_answers = 0

    def events(self, timeout):
        self.num_commits.append(len(self.commits))
        self.commits.clear()
        polls = [super(PollEngine, self).events(timeout) for _ in range(len(self._turns))]
        return [event for events in polls for event in events]

    def submit(self, job):
        super().submit(job)
        assert self._stored(job.run)

    def reply(self, run, reply):
        super().reply(run, reply)
        self.num_answers += 1
        [stored] = self._stored(run)
        assert self._epochs[run] in stored.intermediate_values

    def _stored(self, run):
        trials = optuna.load_study(study_name="toy", storage=self._url).get_trials()
        return [trial for trial in trials if run == f"search-{trial.number}"]


def test_a_poll_is_stored_in_one_transaction_before_any_worker_is_answered(session, storage_url):
    engine = PollEngine(4, storage_url)
    one = session(engine=engine, config=HALVING)
    sqlalchemy.event.listen(one.storage.optuna_storage.engine, "commit", engine.commits.append)
    one.search()
    assert set(engine.num_commits[1:]) == {1}
    assert engine.num_answers > 10
    charged = Counter(trial.arm for trial in one.trials() if trial.phase != "default")
    assert charged == {"sgd": 6, "adam": 6}


class TwoFatesEngine(SimulatedEngine):
    """In one poll, a run ends an epoch and another one cannot write its checkpoint."""

    def events(self, timeout):
        events = [*super().events(timeout)]
        run = self._turns[0]
        return [*events, self._end(run, Halted(run=run, reason="no room"))]


def test_an_error_that_ends_the_study_loses_nothing_of_the_poll_before_it(session):
    one = session(engine=TwoFatesEngine(num_workers=2))
    with pytest.raises(StorageError, match="no room"):
        one.search()
    assert [len(trial.history) for trial in one.trials()] == [1, 0]
    assert one.engine.running == ()


class LateEngine(SimulatedEngine):
    """Has no worker until `events` was called three times, as a cluster that is starting."""

    calls = 0

    @property
    def num_free(self):
        return super().num_free if self.calls > 3 else 0

    def events(self, timeout):
        self.calls += 1
        if self.calls <= 3:
            return []
        started = [Started(run=run, place="node-7") for run in self.running if self.calls == 5]
        return [*started, *super().events(timeout)] if self.running else []


def test_a_study_waits_for_its_first_worker_and_stores_where_runs_are(session, capsys):
    engine, stop = LateEngine(), StopRequest()
    one = session(engine=engine, stop=stop)
    one.observer.epoch = lambda *_: stop.ask(2, None)
    with pytest.raises(InterruptedStudyError):
        one.search()
    assert [trial.place for trial in one.trials()] == ["node-7"]
    status("toy", storage=one.storage.url)
    assert (
        "epochs, on node-7\nruns by place when they last began: node-7 (1)"
        in capsys.readouterr().out
    )
