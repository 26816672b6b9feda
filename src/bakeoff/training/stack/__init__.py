"""Several runs of the same small network, trained as one.

A small network spends most of a step on calling torch. A stack makes the calls once for all of its
members: runs that share model, data, batch size and remedies, and differ in optimizer, schedule,
seed and dropout rate. Weights of N members are rows of one matrix [N, P]. What a member computes
does not depend on its companions (`check` measures it), so it may leave a stack and join another
one without a change of a single bit. It differs from a run that is trained alone by rounding.

Source: HFTA, Wang et al. 2021, https://arxiv.org/abs/2102.02344

Shapes: N members, P weights of a member, B samples of a batch, C channels.
"""
