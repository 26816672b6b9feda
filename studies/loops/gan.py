"""A generative adversarial network that learns points on a ring, with a loop of its own.

study run studies/loops/gan.toml
"""

import math

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

NOISE = 4
STEPS = 50
BATCH = 128


def network(inputs, width, outputs):
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, width),
        nn.LeakyReLU(0.2),
        nn.Linear(width, outputs),
    )


def ring(count, device, generator=None):
    """Points [count, 2] near a circle of radius 1."""
    angle = 2 * math.pi * torch.rand(count, generator=generator)
    points = torch.stack([angle.cos(), angle.sin()], dim=1)
    return (points + 0.05 * torch.randn(count, 2, generator=generator)).to(device)


def distance(network, seed):
    """The energy distance between generated and true points; 0 if they are distributed alike.

    Source: Szekely and Rizzo 2013, Journal of Statistical Planning and Inference 143(8), eq. 2.5.
    """
    device, generator = next(network.parameters()).device, torch.Generator().manual_seed(seed)
    real, noise = ring(500, device, generator), torch.randn(500, NOISE, generator=generator)
    with torch.no_grad():
        made = network(noise.to(device))
    between = torch.cdist(real, made).mean()
    return 2 * between - torch.cdist(real, real).mean() - torch.cdist(made, made).mean()


def train(run):
    """Two networks and two optimizers take turns; the distance is measured once per epoch."""
    device, width = run.device, run.params["width"]
    generator = network(NOISE, width, 2).to(device)
    discriminator = network(2, width, 1).to(device)
    of_generator, of_discriminator = run.optimizer(generator), run.optimizer(discriminator)
    for _ in run.epochs(generator=generator, discriminator=discriminator):
        for _ in range(STEPS):
            made = generator(torch.randn(BATCH, NOISE).to(device))
            scores = discriminator(torch.cat([ring(BATCH, device), made.detach()]))[:, 0]
            labels = torch.cat([torch.ones(BATCH), torch.zeros(BATCH)]).to(device)
            of_discriminator.zero_grad()
            binary_cross_entropy_with_logits(scores, labels).backward()
            of_discriminator.step()
            loss = softplus(-discriminator(made)).mean()
            of_generator.zero_grad()
            loss.backward()
            of_generator.step()
        with run.evaluating():
            yield {"distance": distance(generator, seed=1), "train_loss": loss}
    if run.wants_test:
        yield run.test({"distance": distance(generator, seed=2)})
