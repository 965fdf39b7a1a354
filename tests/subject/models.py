"""Tiny models of many kinds, as people write them, for the search for their inputs."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - as people write it
from torch import Tensor, nn


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, x: Tensor) -> Any:
        return self.layers(x)


class FlatMlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(784, 32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Any:
        return self.two(F.relu(self.one(x.view(-1, 784))))


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2 = nn.Linear(16 * 5 * 5, 120), nn.Linear(120, 10)

    def forward(self, x: Tensor) -> Any:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = torch.flatten(F.max_pool2d(F.relu(self.conv2(x)), 2), 1)
        return self.fc2(F.relu(self.fc1(x)))


class MnistNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.fc = nn.Conv2d(1, 32, 3, 1), nn.Conv2d(32, 64, 3, 1), nn.Linear(9216, 10)

    def forward(self, x: Tensor) -> Any:
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        return F.log_softmax(self.fc(torch.flatten(x, 1)), dim=1)


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.middle = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Any:
        skip = F.relu(self.down(x))
        x = F.relu(self.middle(F.max_pool2d(skip, 2)))
        return self.out(torch.cat([skip, self.up(x)], 1))


class Gpt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(65, 32), nn.Embedding(24, 32)
        self.block = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.head = nn.Linear(32, 65, bias=False)

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> Any:
        _, t = idx.size()
        assert t <= 24
        mask = nn.Transformer.generate_square_subsequent_mask(t)
        logits = self.head(self.block(self.token(idx) + self.position(torch.arange(t)), src_mask=mask))
        loss = F.cross_entropy(logits.view(-1, 65), targets.view(-1)) if targets is not None else None
        return logits, loss


class TwoTower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.users, self.items, self.score = nn.Embedding(100, 8), nn.Embedding(50, 8), nn.Linear(16, 1)

    def forward(self, u: Tensor, v: Tensor) -> Any:
        return torch.sigmoid(self.score(torch.cat([self.users(u), self.items(v)], dim=-1))).squeeze()


class Gcn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(16, 32), nn.Linear(32, 7)

    def forward(self, x: Tensor, edge_index: Tensor) -> Any:
        x = F.relu(self.one(torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]])))
        return self.two(torch.zeros_like(x).index_add(0, edge_index[1], x[edge_index[0]]))


class GcnOfData(Gcn):
    def forward(self, data: Any) -> Any:  # type: ignore[override]
        return super().forward(data.x, data.edge_index)


class DenseGcn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 7) * 0.1)

    def forward(self, x: Tensor, adj: Tensor) -> Any:
        return adj @ (x @ self.weight)


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(200, 16)
        self.lstm, self.tags = nn.LSTM(16, 16, batch_first=True, bidirectional=True), nn.Linear(32, 9)

    def forward(self, sentence: Tensor) -> Any:
        return self.tags(self.lstm(self.words(sentence))[0])


class Forecast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(4, 16, 2, batch_first=True), nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Any:
        state = torch.zeros(2, x.size(0), 16)
        return self.out(self.lstm(x, (state, state.clone()))[0][:, -1])


class StatefulGru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.letters, self.gru, self.out = nn.Embedding(40, 8), nn.GRU(8, 16, batch_first=True), nn.Linear(16, 40)

    def forward(self, x: Tensor, hidden: Tensor) -> Any:
        out, hidden = self.gru(self.letters(x), hidden)
        return self.out(out), hidden


class Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.mean, self.spread = nn.Linear(784, 64), nn.Linear(64, 8), nn.Linear(64, 8)
        self.decode = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 784), nn.Sigmoid())

    def forward(self, x: Tensor) -> Any:
        hidden = F.relu(self.encode(x.view(-1, 784)))
        mean, log_variance = self.mean(hidden), self.spread(hidden)
        return self.decode(mean + torch.randn_like(mean) * (0.5 * log_variance).exp()), mean, log_variance


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.ConvTranspose2d(16, 32, 4, 1, 0), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1))

    def forward(self, z: Tensor) -> Any:
        return torch.tanh(self.net(z))


class Vit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 32, 4, 4), nn.Linear(32, 10)
        self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, 32)), nn.Parameter(torch.zeros(1, 257, 32))
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 1)

    def forward(self, x: Tensor) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.encoder(torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.pos)[:, 0])


class Tcn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(12, 16, 3, dilation=2), nn.ReLU(), nn.Conv1d(16, 16, 3, dilation=4))
        self.out = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Any:
        return self.out(self.conv(x)[:, :, -1])


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.tokens = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 16)
        self.channels, self.head = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16)), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.patches(x).flatten(2)
        x = (x + self.tokens(x)).transpose(1, 2)
        return self.head((x + self.channels(x)).mean(1))


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 26 * 26, 16))

    def forward(self, x1: Tensor, x2: Tensor) -> Any:
        return self.embed(x1), self.embed(x2)


class ActorCritic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.policy, self.value = nn.Linear(4, 32), nn.Linear(32, 2), nn.Linear(32, 1)

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.body(x))
        return F.softmax(self.policy(x), dim=-1), self.value(x)


class Atari(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(4, 8, 8, 4), nn.ReLU(), nn.Conv2d(8, 16, 4, 2), nn.ReLU())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(16 * 81, 6))

    def forward(self, obs: Tensor) -> Any:
        return self.head(self.conv(obs / 255.0))


class Critic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(17 + 6, 1)

    def forward(self, state: Tensor, action: Tensor) -> Any:
        return self.net(torch.cat([state, action], 1))


class PointNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv1d(3, 16, 1), nn.BatchNorm1d(16), nn.Linear(16, 40)

    def forward(self, x: Tensor) -> Any:
        return self.head(F.relu(self.norm(self.conv(x.transpose(2, 1)))).max(2)[0])


class TextCnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(500, 16), nn.Linear(12, 2)
        self.convs = nn.ModuleList(nn.Conv2d(1, 4, (k, 16)) for k in (3, 8, 12))

    def forward(self, x: Tensor) -> Any:
        x = self.words(x).unsqueeze(1)
        return self.head(torch.cat([F.relu(conv(x)).squeeze(3).max(2)[0] for conv in self.convs], 1))


class BagOfWords(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.EmbeddingBag(100, 8), nn.Linear(8, 4)

    def forward(self, text: Tensor, offsets: Tensor) -> Any:
        return self.head(self.words(text, offsets))


class Translator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.source, self.target, self.out = nn.Embedding(60, 16), nn.Embedding(70, 16), nn.Linear(16, 70)
        self.transformer = nn.Transformer(16, 2, 1, 1, 32, batch_first=True)

    def forward(self, src: Tensor, tgt: Tensor) -> Any:
        return self.out(self.transformer(self.source(src), self.target(tgt)))


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions, self.head = nn.Embedding(100, 16), nn.Embedding(64, 16), nn.Linear(16, 3)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        x = self.words(input_ids) + self.positions(torch.arange(input_ids.shape[1]))
        return self.head(self.layer(x, src_key_padding_mask=~attention_mask.bool())[:, 0])


class OfDict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.numeric, self.category, self.out = nn.Linear(6, 8), nn.Embedding(12, 8), nn.Linear(16, 1)

    def forward(self, batch: dict[str, Tensor]) -> Any:
        return self.out(torch.cat([self.numeric(batch["numeric"]), self.category(batch["category"])], -1))


class Diffusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.time, self.two = (
            nn.Conv2d(1, 16, 3, padding=1),
            nn.Linear(16, 16),
            nn.Conv2d(16, 1, 3, padding=1),
        )

    def forward(self, x: Tensor, t: Tensor) -> Any:
        angles = t[:, None].float() * torch.exp(-torch.arange(8) / 8)[None]
        time = self.time(torch.cat([angles.sin(), angles.cos()], -1))
        return self.two(F.silu(self.one(x) + time[:, :, None, None]))


class LossInside(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(9, 4)

    def forward(self, x: Tensor, y: Tensor) -> Any:
        return F.cross_entropy(self.layer(x), y)


class SeriesTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project, self.out = nn.Linear(5, 16), nn.Linear(16, 1)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        return self.out(self.layer(self.project(x)).mean(1))


class Experts(nn.Module):
    """Its forward looks at values, which fake tensors do not have."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.out = nn.Linear(8, 3), nn.Linear(8, 2)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Any:
        chosen, mixed = self.gate(x).argmax(-1), torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            mine = chosen == index
            if mine.any():
                mixed[mine] = expert(x[mine])
        return self.out(mixed)


class Video(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool, self.head = nn.Conv3d(3, 8, 3, padding=1), nn.AdaptiveAvgPool3d(1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.pool(F.relu(self.conv(x))).flatten(1))


class Factorization(nn.Module):
    """It adds offsets to its ids: the table is larger than any of them may be."""

    offsets: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(30, 4)
        self.register_buffer("offsets", torch.tensor([0, 10, 20]))

    def forward(self, x: Tensor) -> Any:
        return self.table(x + self.offsets).sum((1, 2))


class ImageAndText(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.text, self.out = nn.Embedding(50, 8), nn.Linear(16, 4)

    def forward(self, image: Tensor, text: Tensor) -> Any:
        return self.out(torch.cat([self.image(image), self.text(text).mean(1)], 1))


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 20))

    def forward(self, x: Tensor) -> Any:
        return self.net(x)
