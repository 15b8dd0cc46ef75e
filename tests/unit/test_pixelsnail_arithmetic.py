"""PixelSNAIL against its arithmetic written out position by position, from the paper and its authors' code."""

from __future__ import annotations

import pytest
import torch
from tamingplat_pixelsnail.config import PixelSNAILConfig
from tamingplat_pixelsnail.model import PixelSNAIL
from torch.nn.functional import elu

from tamingplat.interfaces import CodeSpace, ConditionPart
from tamingplat.interfaces.models import VisitPlan

HEIGHT, WIDTH, N = 2, 3, 6


def both_signs(x):
    return elu(torch.cat([x, -x]))


def gated(x, branch):
    a, b = branch.chunk(2)
    return x + a * torch.sigmoid(b)


class WrittenOut:
    """The network of one image, one position after the other, from a state dict."""

    def __init__(self, weights, config, steps, codes, class_token):
        self.weights = weights
        self.config = config
        self.steps = steps
        self.embedded = weights["embedding.weight"][codes]
        self.condition = None if class_token is None else weights["context.embeddings.0.weight"][class_token]

    def linear(self, name, x):
        y = self.weights[f"{name}.weight"] @ x
        return y + self.weights[f"{name}.bias"] if f"{name}.bias" in self.weights else y

    def convolution(self, name, inputs, position, itself):
        total = self.weights[f"{name}.bias"].clone()
        row, column = divmod(position, WIDTH)
        for q in range(N):
            down, right = q // WIDTH - row, q % WIDTH - column
            allowed = self.steps[q] < self.steps[position] or (itself and q == position)
            if max(abs(down), abs(right)) <= 1 and allowed:
                total = total + self.weights[f"{name}.weight"][:, :, down + 1, right + 1] @ inputs[q]
        return total

    def residual(self, name, x):
        active = [both_signs(column) for column in x]
        hidden = [both_signs(self.convolution(f"{name}.conv_in", active, p, True)) for p in range(N)]
        branch = [self.convolution(f"{name}.conv_out", hidden, p, True) for p in range(N)]
        if self.condition is not None:
            branch = [part + self.linear(f"{name}.condition", self.condition) for part in branch]
        return [gated(column, part) for column, part in zip(x, branch, strict=True)]

    def pointwise(self, name, x, beside=None):
        hidden = self.linear(f"{name}.linear_in", both_signs(x))
        if beside is not None:
            hidden = hidden + self.linear(f"{name}.linear_beside", both_signs(beside))
        return gated(x, self.linear(f"{name}.linear_out", both_signs(hidden)))

    def attention(self, name, x):
        heads, key_width, value_width = self.config.heads, self.config.key_width, self.config.head_value_width
        places = [
            torch.tensor([(p // WIDTH - HEIGHT / 2) / HEIGHT, (p % WIDTH - WIDTH / 2) / WIDTH], dtype=torch.float64)
            for p in range(N)
        ]
        queries, memories = [], []
        for p in range(N):
            raw = torch.cat([x[p], places[p]])
            queries.append(self.linear(f"{name}.query", self.pointwise(f"{name}.query_residual", raw)).view(heads, key_width))
            content = torch.cat([self.embedded[p], x[p], places[p]])
            memory = self.linear(f"{name}.memory", self.pointwise(f"{name}.memory_residual", content))
            memories.append(memory.view(heads, key_width + value_width))
        outputs = []
        for p in range(N):
            earlier = [q for q in range(N) if self.steps[q] < self.steps[p]]
            found = torch.zeros(heads, value_width, dtype=torch.float64)
            for head in range(heads if earlier else 0):
                scores = torch.stack([queries[p][head] @ memories[q][head, :key_width] for q in earlier])
                shares = (scores / key_width**0.5).softmax(0)
                found[head] = sum(share * memories[q][head, key_width:] for share, q in zip(shares, earlier, strict=True))
            outputs.append(self.pointwise(f"{name}.output_residual", x[p], found.flatten()))
        return outputs

    def logits(self):
        x = [self.convolution("first", self.embedded, p, False) for p in range(N)]
        for block in range(self.config.layers):
            for index in range(self.config.residual_layers):
                x = self.residual(f"blocks.{block}.residuals.{index}", x)
            x = self.attention(f"blocks.{block}.attention", x)
        return torch.stack([self.linear("head", elu(column)) for column in x])


@pytest.mark.parametrize(
    ("order", "sizes"),
    [([0, 1, 2, 3, 4, 5], [1] * 6), ([4, 0, 2, 5, 1, 3], [1] * 6), ([3, 1, 5, 0, 2, 4], [2, 1, 3])],
    ids=["raster", "random", "grouped"],
)
@pytest.mark.parametrize("layout", [(), (ConditionPart("class", 3),)], ids=["plain", "class"])
def test_the_network_is_the_one_written_out(order, sizes, layout):
    config = PixelSNAILConfig(layers=2, residual_layers=2, width=8, heads=2, key_width=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = PixelSNAIL(CodeSpace(((HEIGHT, WIDTH),), 5), layout, config, {}).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    plan = VisitPlan(torch.tensor([order]), torch.tensor(sizes))
    codes = torch.tensor([[1, 4, 0, 2, 2, 3]])
    condition = torch.full((1, len(layout)), 2)
    weights = {name.removeprefix("stacks.0."): value for name, value in model.state_dict().items()}
    plain = WrittenOut(weights, config, plan.steps()[0].tolist(), codes[0], 2 if layout else None)
    expected = -plain.logits().log_softmax(1).gather(1, codes[0][:, None])[:, 0]
    torch.testing.assert_close(model.nll(codes, condition, plan)[0].detach(), expected, rtol=1e-10, atol=1e-10)
