"""Kinds of training, recognised for real, and look-alikes that must not be taken for them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Check

HEAD = """
import torch
from torch import nn
import torch.nn.functional as F
torch.manual_seed(0)
X = torch.rand(512, 16)
Y = (X[:, 0] > 0.5).long()
def mlp(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))
def batch():
    return torch.randint(512, (32,))
"""

GAN = """
painter, expert = mlp(4, 16), mlp(16, 1)
one = torch.optim.Adam(expert.parameters(), 1e-4)
two = torch.optim.Adam(painter.parameters(), 1e-4)
for _ in range(30):
    fake = painter(torch.randn(32, 4))
    loss = F.softplus(expert(fake.detach())).mean() + F.softplus(-expert(X[batch()])).mean()
    one.zero_grad(); loss.backward(); one.step()
    loss = F.softplus(-expert(fake)).mean()
    two.zero_grad(); loss.backward(); two.step()
"""

ACTOR_CRITIC = """
import copy
actor, critic = mlp(3, 1), mlp(4, 1)
later = copy.deepcopy(critic)
one = torch.optim.Adam(critic.parameters(), 1e-4)
two = torch.optim.Adam(actor.parameters(), 1e-4)
memory = []
state = torch.zeros(3)
for _ in range(60):
    with torch.no_grad():
        action = actor(state[None])[0] + 0.1 * torch.randn(1)
    after = 0.9 * state + 0.1 * action
    memory.append((state, action, -after.abs().sum(), after))
    state = after
    if len(memory) < 16:
        continue
    s, a, r, n = (torch.stack(each) for each in zip(*memory[-16:]))
    with torch.no_grad():
        goal = r[:, None] + 0.99 * later(torch.cat([n, actor(n)], 1))
    loss = F.mse_loss(critic(torch.cat([s, a], 1)), goal)
    one.zero_grad(); loss.backward(); one.step()
    loss = -critic(torch.cat([s, actor(s)], 1)).mean()
    two.zero_grad(); loss.backward(); two.step()
"""

POLICY_GRADIENT = """
policy = mlp(3, 2)
optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
for _ in range(20):
    picked = torch.distributions.Categorical(logits=policy(torch.randn(24, 3)))
    action = picked.sample()
    loss = -(picked.log_prob(action) * (action.float() - 0.5)).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""

VARIATIONAL = """
class Coder(nn.Module):
    def __init__(self):
        super().__init__()
        self.into, self.out = mlp(16, 8), mlp(4, 16)
    def forward(self, x):
        mean, log = self.into(x).chunk(2, 1)
        return self.out(mean + torch.randn_like(mean) * (0.5 * log).exp()), mean, log
net = Coder()
optimizer = torch.optim.Adam(net.parameters(), 1e-3)
for _ in range(20):
    x = X[batch()]
    again, mean, log = net(x)
    loss = F.mse_loss(again, x) + 0.01 * (mean ** 2 + log.exp() - 1 - log).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""

DIFFUSION = """
net = mlp(17, 16)
optimizer = torch.optim.Adam(net.parameters(), 1e-3)
for _ in range(20):
    x, t = X[batch()], torch.rand(32, 1)
    noise = torch.randn_like(x)
    guess = net(torch.cat([(1 - t) * x + t * noise, t], 1))
    loss = ((guess - noise) ** 2).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""

CONTRASTIVE = """
net = mlp(16, 8)
optimizer = torch.optim.Adam(net.parameters(), 1e-3)
for _ in range(20):
    x = X[batch()]
    one, two = (F.normalize(net(x + 0.1 * torch.randn_like(x)), dim=1) for _ in range(2))
    loss = F.cross_entropy(one @ two.T / 0.1, torch.arange(32))
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""

FINE_TUNING = """
torch.save(mlp(16, 2).state_dict(), "before.pt")
net = mlp(16, 2)
net.load_state_dict(torch.load("before.pt"))
optimizer = torch.optim.Adam(net.parameters(), 1e-4)
for _ in range(20):
    i = batch()
    loss = F.cross_entropy(net(X[i]), Y[i])
    optimizer.zero_grad(); loss.backward(); optimizer.step()
"""

# A backbone and a head with an optimizer each; a negative likelihood below zero; noise on inputs and on labels;
# noise with a scale of the model's own, but no prior.
LOOK_ALIKE = """
class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.scale = mlp(16, 8), nn.Linear(16, 8)
    def forward(self, x):
        return torch.relu(self.body(x) + torch.randn(len(x), 8) * F.softplus(self.scale(x)))
body, head = Noisy(), nn.Linear(8, 2)
one, two = torch.optim.SGD(body.parameters(), 0.01), torch.optim.Adam(head.parameters(), 1e-3)
for _ in range(20):
    x = X[batch()]
    y = x[:, 0] * 0.01 + 0.001 * torch.randn(32)
    mean, spread = head(body(x + 0.05 * torch.randn_like(x))).unbind(1)
    loss = -torch.distributions.Normal(mean * 0.01, F.softplus(spread) * 0.01 + 1e-3).log_prob(y).mean()
    one.zero_grad(); two.zero_grad(); loss.backward(); one.step(); two.step()
"""

# All pairs of one text in an attention; a probe with an optimizer of its own on detached features.
ATTENTION = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.ask, self.key = nn.Embedding(20, 16), nn.Linear(16, 16), nn.Linear(16, 16)
    def forward(self, x):
        h = self.embed(x)
        return h + F.softmax(self.ask(h) @ self.key(h).T / 4, -1) @ h
net, head, probe = Net(), nn.Linear(16, 20), nn.Linear(16, 20)
one = torch.optim.Adam([*net.parameters(), *head.parameters()], 1e-3)
two = torch.optim.Adam(probe.parameters(), 1e-3)
text = torch.randint(20, (600,))
for i in range(0, 480, 16):
    x, y = text[i:i + 16], text[i + 1:i + 17]
    h = net(x)
    loss = F.cross_entropy(head(h), y)
    one.zero_grad(); loss.backward(); one.step()
    loss = F.cross_entropy(probe(h.detach()), y)
    two.zero_grad(); loss.backward(); two.step()
"""

KINDS = [
    (GAN, "gan"),
    (ACTOR_CRITIC, "reinforcement"),
    (POLICY_GRADIENT, "reinforcement"),
    (VARIATIONAL, "variational"),
    (DIFFUSION, "diffusion"),
    (CONTRASTIVE, "contrastive"),
    (FINE_TUNING, "fine-tuning"),
    (LOOK_ALIKE, "supervised"),
    (ATTENTION, "supervised"),
]


def loop(check: Check, source: str, *options: str) -> dict[str, Any]:
    report = check(HEAD + source, "--no-probes", "--steps", "8", *options)
    assert report["target"]["outcome"] == "examined", report["target"]["reason"]
    found: dict[str, Any] = report["run"]["loop"]
    return found


@pytest.mark.parametrize(("source", "family"), KINDS, ids=[f"{kind}-{i}" for i, (_, kind) in enumerate(KINDS)])
def test_the_family_is_known_by_what_is_done(check: Check, source: str, family: str) -> None:
    found = loop(check, source)
    assert found["family"] == family, found["family_reason"]


def test_both_networks_of_a_gan_are_named_with_their_optimizers(check: Check) -> None:
    found = loop(check, GAN)
    assert {each["name"]: each["class"] for each in found["models"]} == {
        "painter": "Sequential",
        "expert": "Sequential",
    }
    assert [each["models"] for each in found["optimizers"]] == [["expert"], ["painter"]]
    assert found["family_reason"] == "expert is trained on what painter puts out, and painter through expert"
    assert found["loaders"] == []
    assert {each["name"] for each in found["losses"]} == {"expression"}


def test_wrappers_are_taken_off_and_the_call_of_the_loss_is_named(check: Check) -> None:
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 2)
    def forward(self, x):
        return self.layer(x)
class Trainer:
    def __init__(self):
        self.network = torch.compile(nn.DataParallel(Net()))
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=3e-4)
    def fit(self):
        for _ in range(20):
            i = batch()
            loss = self.criterion(self.network(X[i]), Y[i])  # here
            self.optimizer.zero_grad(); loss.backward(); self.optimizer.step()
Trainer().fit()
"""
    found = loop(check, source)
    [model] = found["models"]
    assert (model["name"], model["class"], model["parameters"], model["trainable"]) == ("network", "Net", 34, 34)
    line = (HEAD + source).splitlines().index("            loss = self.criterion(self.network(X[i]), Y[i])  # here") + 1
    assert [(each["name"], each["location"]["line"]) for each in found["losses"]] == [("cross_entropy", line)]


def test_the_user_s_word_comes_first(check: Check) -> None:
    found = loop(check, FINE_TUNING, "--family", "contrastive")
    assert (found["family"], found["family_reason"]) == ("contrastive", "set by the user")
