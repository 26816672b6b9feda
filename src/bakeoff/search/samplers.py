"""Optuna's samplers by name, each proposal made anew with a seed of its own.

A sampler that lives through a study has a state that a crash loses. One that is made for a
proposal, with a seed from (study, arm, index), proposes the same again from the same history.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from bakeoff.components.samplers import SAMPLERS
from bakeoff.errors import MissingDependencyError
from bakeoff.ranges import Params
from bakeoff.records import ArmRecord, Phase
from bakeoff.search.experimental import experimental_accepted
from bakeoff.search.parzen import ParzenSampler
from bakeoff.space import suggest, suggest_jointly


@dataclass(frozen=True, kw_only=True)
class Told:
    """A trial as a sampler knows it."""

    trial: FrozenTrial
    """Complete; the smaller its value of an objective, the better it is."""
    phase: Phase

    def with_state(self, state: dict[str, object]) -> FrozenTrial:
        """With what its sampler noted when it proposed the trial."""
        return create_trial(
            params=self.trial.params,
            distributions=self.trial.distributions,
            value=self.trial.value,
            system_attrs=state,
        )


class KnownTrials(InMemoryStorage):
    """An in-memory storage that holds trials without copying them.

    A proposal reads hundreds of trials; to add them to a study, copied and checked each time,
    would take most of its time.
    """

    def __init__(self, known: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._known = known

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """The known trials, then those asked for."""
        known = self._known if states is None or TrialState.COMPLETE in states else ()
        return [*known, *super().get_all_trials(study_id, deepcopy, states)]


def propose_randomly(arm: ArmRecord, seed: int, told: Sequence[Told] = ()) -> Params:  # noqa: ARG001
    """An independent draw."""
    return suggest(_study(RandomSampler(seed=seed)).ask(), arm)


def propose_tpe(arm: ArmRecord, seed: int, told: Sequence[Told]) -> Params:
    """By our own estimator, or by Optuna's where there are several objectives."""
    if all(len(one.trial.values) == 1 for one in told):
        order = sorted(range(len(told)), key=lambda index: told[index].trial.values[0])
        trials = [one.trial.params for one in told]
        return ParzenSampler(arm).propose(trials, order, np.random.default_rng(seed))
    study = _study(_tpe(seed), told, KnownTrials([one.trial for one in told]))
    return suggest(study.ask(), arm)


def propose_gp(arm: ArmRecord, seed: int, told: Sequence[Told]) -> Params:
    """By Optuna's Gaussian process."""
    # The random first trials are dealt by `proposals`, so the sampler's own start-up is off here
    # and below.
    sampler = GPSampler(seed=seed, n_startup_trials=0, warn_independent_sampling=False)
    study = _study(sampler, told)
    study.add_trials([one.trial for one in told])
    return suggest_jointly(study.ask(), arm)


def propose_cmaes(arm: ArmRecord, seed: int, told: Sequence[Told]) -> Params:
    """Live through the trials that a model proposed once more, and propose the next.

    Optuna keeps the state of CMA-ES with the trials it proposed. So each of those is asked for
    anew, and what was told of it is stored with the state that it was asked with.
    """
    study = _study(_cmaes(seed, choices=RandomSampler(seed=seed)))
    study.add_trials([one.trial for one in told if one.phase != "model"])
    for one in told:
        if one.phase == "model":
            asked = study.ask()
            suggest_jointly(asked, arm)  # only then does the sampler note its state
            study.tell(asked, state=TrialState.FAIL)
            state = study.get_trials(deepcopy=False)[-1].system_attrs
            study.add_trial(one.with_state(state))
    study.sampler = _cmaes(seed, choices=_tpe(seed))
    return suggest_jointly(study.ask(), arm)


def _cmaes(seed: int, *, choices: BaseSampler) -> BaseSampler:
    return CmaEsSampler(
        seed=seed, n_startup_trials=0, independent_sampler=choices, warn_independent_sampling=False
    )


def _tpe(seed: int) -> BaseSampler:
    # `group` models the parameters of one schedule jointly although other schedules do not have
    # them.
    with experimental_accepted():
        return TPESampler(seed=seed, n_startup_trials=0, multivariate=True, group=True)


def _study(
    sampler: BaseSampler, told: Sequence[Told] = (), storage: InMemoryStorage | None = None
) -> optuna.Study:
    """With as many objectives as the trials it will be told."""
    num_objectives = len(told[0].trial.values) if told else 1
    return optuna.create_study(
        directions=["minimize"] * num_objectives, sampler=sampler, storage=storage
    )


def check_sampler(name: str) -> None:
    """Make sure that the sampler's optional package is installed, without importing it.

    Raises:
        MissingDependencyError: It is not; the message names the extra that brings it.
    """
    package = SAMPLERS[name].package
    if package is not None and find_spec(package) is None:
        raise MissingDependencyError(
            f"search.sampler = {name!r} needs the package {package!r};"
            " install it with `pip install 'bakeoff[samplers]'`"
        )
