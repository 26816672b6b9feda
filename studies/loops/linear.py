"""A linear classifier of scikit-learn, trained by `partial_fit`, with a loop of its own.

study run studies/loops/linear.toml
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, log_loss

CLASSES = np.arange(10)
STEPS = 10
NUM_TRAIN, NUM_VALIDATION = 1000, 400


class Classifier:
    """A classifier whose state can be saved: arrays and numbers, by name."""

    def __init__(self, alpha):
        self.model = SGDClassifier(loss="log_loss", alpha=alpha, learning_rate="constant")

    def state_dict(self):
        """What `partial_fit` changes."""
        names = ("coef_", "intercept_", "t_", "classes_", "n_features_in_")
        return {name: getattr(self.model, name) for name in names if hasattr(self.model, name)}

    def load_state_dict(self, state):
        """Continue from it."""
        vars(self.model).update(state)


def train(run):
    """The arms are schedules: the loop asks for the factor of the learning rate at each step."""
    inputs, labels = load_digits(return_X_y=True)
    inputs = inputs / 16
    order = np.random.default_rng(0).permutation(len(inputs))  # the same split in every run
    train, validation, test = np.split(order, [NUM_TRAIN, NUM_TRAIN + NUM_VALIDATION])
    classifier = Classifier(alpha=run.params["alpha"])
    model = classifier.model
    for epoch in run.epochs(classifier=classifier):
        for step, rows in enumerate(np.array_split(np.random.permutation(train), STEPS)):
            progress = (epoch + step / STEPS) / run.num_epochs
            rate = run.optimizer_params["learning_rate"] * run.rate_factor(progress)
            model.set_params(eta0=max(rate, 1e-9), random_state=run.seed % 2**32)
            model.partial_fit(inputs[rows], labels[rows], CLASSES)
        chances = model.predict_proba(inputs[validation])
        yield {
            "accuracy": accuracy_score(labels[validation], chances.argmax(axis=1)),
            "loss": log_loss(labels[validation], chances, labels=CLASSES),
        }
    if run.wants_test:
        yield run.test({"accuracy": model.score(inputs[test], labels[test])})
