"""torch's optimizers without torch's compiler."""

import subprocess
import sys

SCRIPT = """
import sys
import torch
from bakeoff.training.uncompiled import COMPILER, leave_compiler_out

KINDS = ("SGD", "Adam", "AdamW", "RMSprop", "NAdam", "RAdam", "Adamax", "Adadelta", "Adagrad")

def trained(kind):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    optimizer = getattr(torch.optim, kind)(model[0].parameters(), lr=0.01)
    optimizer.add_param_group({"params": model[2].parameters()})
    seen = []
    optimizer.register_step_post_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(16, 8)).square().mean().backward()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
    assert len(seen) == 3 and torch.is_grad_enabled()
    return [one.detach().clone() for one in model.parameters()]

def in_closure():
    # a closure needs gradients, which the step itself must not record
    weight = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.5)

    def loss():
        optimizer.zero_grad()
        found = weight.square().sum()
        found.backward()
        return found

    optimizer.step(loss)
    return weight.detach()

leave_compiler_out()
leave_compiler_out()  # once more changes nothing
without = {kind: trained(kind) for kind in KINDS}
assert in_closure().tolist() == [0.0, 0.0]
assert COMPILER not in sys.modules, "the compiler was imported"

import torch._dynamo
calls = []
graph_break = torch._dynamo.graph_break
torch._dynamo.graph_break = lambda *a, **k: (calls.append(1), graph_break(*a, **k))
for kind in KINDS:
    marked = trained(kind)
    assert all(map(torch.equal, without[kind], marked)), kind
assert len(calls) == 2 * 3 * len(KINDS), "torch's own step is used once the compiler is there"
kept = torch.optim.Optimizer.zero_grad.__wrapped__.__dynamo_disable
assert kept.__module__ != "bakeoff.training.uncompiled", kept
print("done")
"""


def test_optimizers_make_the_same_steps_without_the_compiler_and_use_its_marks_once_it_is_there():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=False, capture_output=True, text=True
    )
    assert done.stdout == "done\n", done.stderr
