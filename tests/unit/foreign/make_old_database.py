"""How `optuna_3_0.sql` and `optuna_4_0.log` were made: run this with those releases of Optuna.

pip install 'optuna==3.0.6' 'sqlalchemy<2' && python make_old_database.py optuna_3_0.sql
pip install 'optuna==4.0.0' && python make_old_database.py optuna_4_0.log
"""

import sqlite3
import sys
import tempfile
from pathlib import Path

import optuna


def objective(trial: optuna.Trial) -> float:
    """A score that is written down, with two reports."""
    optimizer = trial.suggest_categorical("optimizer", ["sgd", "adam"])
    rate = trial.suggest_float("lr", 1e-4, 1.0, log=True)
    score = (0.8 if optimizer == "sgd" else 0.9) - 0.1 * rate
    for epoch in (1, 2):
        trial.report(score * epoch / 2, epoch)
    return score


def main(target: Path) -> None:
    """Write a study of eight random trials."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    if target.suffix == ".log":
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        storage = JournalStorage(JournalFileBackend(str(target)))
        study = optuna.create_study(
            study_name="old", storage=storage, direction="maximize", sampler=sampler
        )
        study.optimize(objective, n_trials=8)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "old.db"
        study = optuna.create_study(
            study_name="old", storage=f"sqlite:///{file}", direction="maximize", sampler=sampler
        )
        study.optimize(objective, n_trials=8)
        with sqlite3.connect(file) as connection:
            target.write_text("\n".join(connection.iterdump()) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
