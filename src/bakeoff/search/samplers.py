"""Proposals of Optuna's samplers and of our own, each from a new sampler with its own seed.

A crash loses the state of a sampler that lives as long as the study. A sampler that is built for
one proposal, with a seed from (study, arm, index), proposes the same again from the same history.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import optuna
from numpy.typing import NDArray
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
class KnownTrial:
    """A trial as a sampler knows it."""

    trial: FrozenTrial
    """A complete trial; smaller values are better. Its parameters are as `suggest` asked for them:
    scaled, where the range is even in log(1 - value)."""
    params: Params
    """The parameters themselves."""
    point: NDArray[np.float64]
    """The parameters as a point of our own Parzen estimator, [number of axes]."""
    phase: Phase

    def with_state(self, state: dict[str, object]) -> FrozenTrial:
        """The trial with the state that its sampler stored when it proposed the trial."""
        return create_trial(
            params=self.trial.params,
            distributions=self.trial.distributions,
            value=self.trial.value,
            system_attrs=state,
        )


class KnownTrials(InMemoryStorage):
    """An in-memory storage that holds trials without copying them.

    A proposal reads hundreds of trials. If they were added to a study, which copies and checks
    them, that would take most of the time.
    """

    def __init__(self, known: Sequence[FrozenTrial]) -> None:
        super().__init__()
        self._known = known

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The known trials, followed by the trials of the study itself."""
        known = self._known if states is None or TrialState.COMPLETE in states else ()
        return [*known, *super().get_all_trials(study_id, deepcopy, states)]


def propose_randomly(arm: ArmRecord, seed: int, known: Sequence[KnownTrial] = ()) -> Params:  # noqa: ARG001
    """An independent draw."""
    return suggest(_study(RandomSampler(seed=seed)).ask(), arm)


def propose_tpe(arm: ArmRecord, seed: int, known: Sequence[KnownTrial]) -> Params:
    """Draw from our own Parzen estimator, or from Optuna's if there are several objectives."""
    if not known or len(known[0].trial.values) == 1:
        values = [one.trial.values[0] for one in known]
        order = sorted(range(len(known)), key=values.__getitem__)
        points = np.array([one.point for one in known])
        return ParzenSampler(arm).propose(points, order, np.random.default_rng(seed))
    study = _study(_tpe(seed), known, KnownTrials([one.trial for one in known]))
    return suggest(study.ask(), arm)


def propose_gp(arm: ArmRecord, seed: int, known: Sequence[KnownTrial]) -> Params:
    """Draw from Optuna's Gaussian process."""
    # `proposals` draws the random first trials, so the sampler's own start-up is off, here and
    # below.
    sampler = GPSampler(seed=seed, n_startup_trials=0, warn_independent_sampling=False)
    study = _study(sampler, known)
    study.add_trials([one.trial for one in known])
    return suggest_jointly(study.ask(), arm)


def propose_cmaes(arm: ArmRecord, seed: int, known: Sequence[KnownTrial]) -> Params:
    """Repeat CMA-ES on the trials that a model proposed, and propose the next.

    Optuna stores the state of CMA-ES in the trials that it proposed. So each of those trials is
    asked for again, and its known values are stored with the state that belongs to it.
    """
    study = _study(_cmaes(seed, choices=RandomSampler(seed=seed)))
    study.add_trials([one.trial for one in known if one.phase != "model"])
    for one in known:
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
    # `group` models the parameters of a schedule jointly, although other schedules lack them.
    with experimental_accepted():
        return TPESampler(seed=seed, n_startup_trials=0, multivariate=True, group=True)


def _study(
    sampler: BaseSampler, known: Sequence[KnownTrial] = (), storage: InMemoryStorage | None = None
) -> optuna.Study:
    """An Optuna study with as many objectives as the known trials."""
    num_objectives = len(known[0].trial.values) if known else 1
    return optuna.create_study(
        directions=["minimize"] * num_objectives, sampler=sampler, storage=storage
    )


def check_sampler(name: str) -> None:
    """Make sure that the sampler's optional package is installed, without importing it.

    Raises:
        MissingDependencyError: It is not installed; the message names the extra.
    """
    package = SAMPLERS[name].package
    if package is not None and find_spec(package) is None:
        raise MissingDependencyError(
            f"search.sampler = {name!r} needs the package {package!r};"
            " install it with `pip install 'bakeoff[samplers]'`"
        )
