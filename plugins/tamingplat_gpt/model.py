"""The transformer prior: next-code prediction along a visiting plan.

Esser et al., "Taming Transformers for High-Resolution Image Synthesis", Sec. 3.2 and Tab. 3, https://arxiv.org/abs/2012.09841.
Parameters are named and shaped as in the authors' published checkpoints.

Shape letters: B batch, N code positions, V vocabulary, P condition positions, P₀ = max(P, 1), T visited, n tokens, C width; S
tokens of all rows together, A of them asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tamingplat.interfaces import CodeSpace, ConditionLayout, Config, layout_length
from tamingplat.interfaces.models import ParameterGroup, Prior, PriorBatch, PriorState, VisitPlan, Visits
from tamingplat_gpt.asked import Asked, Lacking, passes
from tamingplat_gpt.blocks import Attending, Block, Group, Memory, dropped, joined, visible
from tamingplat_gpt.config import GPTConfig
from tamingplat_gpt.embedding import Tokens, Vocabulary, tokens_at
from tamingplat_gpt.state import KeyValueState


class _Prepared(NamedTuple):
    """Rows that are about to be computed.

    Attributes:
        x: float (B, n, C), embeddings of their new tokens.
        attending: What these attend to.
        asking: The same in the last block, of which their last tokens alone are asked.
        state: Takes their keys and values.
    """

    x: Tensor
    attending: Attending
    asking: Attending
    state: KeyValueState


class GPT(Prior):
    """A causal transformer over [condition or start token, codes in visiting order].

    Position embeddings begin at zero and are looked up by a code's place in the image, so that a fixed ordering gives the
    published model with the table's rows permuted, and orderings that differ between images are told apart.
    """

    visits: ClassVar[Visits] = "in_order"
    _offsets: Tensor

    def __init__(self, space: CodeSpace, layout: ConditionLayout, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(space, layout, config, parts)
        assert isinstance(config, GPTConfig)
        self._config = config
        self._length, self._vocab_size = space.length, space.vocab_size
        vocabulary = _vocabulary(space, layout, config)
        self._start = vocabulary.start
        self._prefix = max(1, layout_length(layout))
        self._slots = self._prefix + space.length + 1
        self._block_size = config.block_size or self._prefix + space.length
        self.register_buffer("_offsets", torch.tensor([vocabulary.offsets], dtype=torch.int64), persistent=False)

        rows = config.vocabulary_rows
        self.tok_emb = nn.Embedding(vocabulary.rows if rows is None else rows, config.width)
        self.pos_emb = nn.Parameter(torch.zeros(1, self._block_size, config.width))
        self.target_emb = nn.Parameter(torch.zeros(space.length, config.width)) if config.target_positions else None
        self.blocks = nn.ModuleList([Block(config.width, config.heads) for _ in range(config.layers)])
        self.ln_f = nn.LayerNorm(config.width, eps=1e-5)
        self.head = nn.Linear(config.width, space.vocab_size if rows is None else rows, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    @classmethod
    def refusal(cls, space: CodeSpace, layout: ConditionLayout, config: Config) -> str | None:
        """Refused where the position embedding or the embedding table is set to be shorter than the tokens need."""
        assert isinstance(config, GPTConfig)
        needed = _vocabulary(space, layout, config).rows
        if config.vocabulary_rows is not None and config.vocabulary_rows < needed:
            return (
                f"config.vocabulary_rows {config.vocabulary_rows} is below the {needed} of the codes and the condition's "
                "tokens; raise it or leave it out"
            )
        # The last code is predicted and never read, so the step of its visit needs no row; its place in the image does.
        needed = max(1, layout_length(layout)) + space.length - (config.positions == "time")
        if config.block_size is None or config.block_size >= needed:
            return None
        return (
            f"config.block_size {config.block_size} is below the {needed} tokens of the condition and the codes; "
            "raise it or leave it out"
        )

    def phase_parameters(self, phase: str) -> Iterable[ParameterGroup]:
        """Weight decay applies to the weights of linear layers and to nothing else."""
        assert phase in self.phases, phase
        decayed = {module.weight for module in self.modules() if isinstance(module, nn.Linear)}
        others = tuple(parameter for parameter in self.parameters() if parameter not in decayed)
        return (
            ParameterGroup(tuple(parameter for parameter in self.parameters() if parameter in decayed)),
            ParameterGroup(others, decay=False),
        )

    def forward(self, batch: PriorBatch, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """``total``: mean −log p in nats per code.

        In training with a generator, ``pkeep`` is the share of input codes that are left as they are, and ``dropout`` drops.
        What is replaced is drawn from the generator. Dropout draws from PyTorch's default ones, as fused attention has to; the
        training loop seeds those for every step too.
        """
        assert phase in self.phases, phase
        inputs = batch.codes
        draws = self.training and generator is not None
        if draws and self._config.pkeep < 1:
            keep = torch.rand(inputs.shape, generator=generator, device=inputs.device) < self._config.pkeep
            other = torch.randint(self._vocab_size, inputs.shape, generator=generator, device=inputs.device)
            inputs = torch.where(keep, inputs, other)
        dropout = self._config.dropout if draws else 0.0
        return {"total": self._nll(inputs, batch.codes, batch.condition, batch.plan, dropout).mean()}

    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        """−log p in nats of every code, float (B, N) in canonical order; nothing is dropped, in training mode neither."""
        return self._nll(codes, codes, condition, plan, 0.0)

    def _nll(self, inputs: Tensor, codes: Tensor, condition: Tensor, plan: VisitPlan, dropout: float) -> Tensor:
        """As ``nll``, where ``inputs`` are read and ``codes`` are predicted."""
        assert len(plan.sizes) == self._length, "this prior visits one position at a step"
        order, ranks = plan.order.to(codes.device), plan.ranks().to(codes.device)
        index = torch.arange(self._prefix + self._length - 1, device=codes.device)[None]
        tokens = tokens_at(index, self._prefix_rows(condition), inputs, order[:, :-1], None, order[:, -1:])
        bidirectional = self._config.bidirectional_condition and self._prefix > 1
        mask = visible(index, index.shape[1], self._prefix) if bidirectional else None
        x = dropped(self._embed(tokens), dropout)
        group = Group(len(x), x.shape[1], Attending(causal=mask is None, mask=mask, dropout=dropout))
        x = self._run(x.flatten(0, 1), [group]).view_as(x)
        logits = self._to_logits(x[:, self._prefix - 1 :])
        by_time = F.cross_entropy(logits.flatten(0, 1), codes.gather(1, order).flatten(), reduction="none")
        return by_time.view_as(codes).gather(1, ranks)

    @torch.no_grad()
    def logits(
        self,
        codes: Tensor,
        visited: Tensor,
        targets: Tensor,
        condition: Tensor,
        *,
        lengths: Tensor | None = None,
        state: PriorState | None = None,
        sizes: Tensor | None = None,
    ) -> tuple[Tensor, KeyValueState]:
        """Logits (B, 1, V) of the next position, at least float32, and the state of all that is visited; without gradients.

        One call computes whatever tokens the state lacks, at least the last one. Rows of different lengths cost one wait for
        the device per call that is given a state; rows of one length cost none.
        """
        assert targets.shape[1] == 1, "this prior predicts the next step alone"
        assert state is None or isinstance(state, KeyValueState)
        return self._predict(Asked(codes, visited, targets, condition, lengths), state)

    def _predict(self, asked: Asked, state: KeyValueState | None) -> tuple[Tensor, KeyValueState]:
        """See ``logits``."""
        # The MLPs' features are the largest.
        bytes_of_token = 4 * self._config.width * self.pos_emb.element_size()
        logits: list[Tensor] = []
        states: list[KeyValueState] = []
        rows: list[int] = []
        for together in passes(asked, state, self._prefix, bytes_of_token):
            prepared = []
            for lacking in together:
                rows += lacking.rows
                of_rows = None if state is None else state.of(lacking.rows)
                prepared.append(self._prepared(asked.of(lacking, self._prefix), of_rows, lacking))
            logits.append(self._compute(prepared))
            states += [some.state.remaining() for some in prepared]
        if len(states) == 1:
            return logits[0], states[0]
        places = torch.tensor(rows, device=asked.codes.device).argsort()
        return torch.cat(logits)[places], KeyValueState.cat(states).take(places)

    def _prepared(self, asked: Asked, state: KeyValueState | None, lacking: Lacking) -> _Prepared:
        """The tokens that some rows lack, and where their keys and values go."""
        codes, visited, targets, condition, lengths = asked
        total = self._prefix + visited.shape[1]
        device = codes.device
        tokens = None if lengths is None else self._prefix + lengths
        last: Tensor | None = None
        slots: slice | Tensor
        if state is None or not state.begun:
            index, slots = torch.arange(total, device=device)[None], slice(0, total)
            state = KeyValueState.beginning(len(codes), total, tokens, kept=state is None or state.kept)
            last = None if tokens is None else tokens - 1
        elif tokens is None and state.tokens is None:
            slots = slice(total - lacking.new, total)
            index = torch.arange(slots.start, total, device=device)[None]
            state.reserve(self._slots)
            state.filled = total
        else:
            tokens = torch.full_like(targets[:, 0], total) if tokens is None else tokens
            start = torch.minimum(state.tokens_of_rows(), tokens - 1)
            index = start[:, None] + torch.arange(lacking.new, device=device)
            # Rows with fewer new tokens than others write their surplus to one slot after all that can ever count.
            slots = index.clamp(max=self._slots - 1)
            state.reserve(self._slots, lacking.total)
            state.filled, state.tokens = lacking.total, tokens
            last = tokens - 1 - start
        x = self._embed(tokens_at(index, self._prefix_rows(condition), codes, visited, lengths, targets))
        attending = self._attending(index, Memory(state, slots, lacking.total))
        return _Prepared(x, attending, self._asking(attending, index, last), state)

    def _compute(self, prepared: Sequence[_Prepared]) -> Tensor:
        """Logits (B, 1, V) of all rows of several groups, one group after the other."""
        x = joined([rows.x.flatten(0, 1) for rows in prepared])
        groups = [Group(len(rows.x), rows.x.shape[1], rows.attending) for rows in prepared]
        asking = [Group(len(rows.x), rows.x.shape[1], rows.asking) for rows in prepared]
        return self._to_logits(self._run(x, groups, asking))[:, None]

    def _attending(self, index: Tensor, memory: Memory) -> Attending:
        """What the tokens at ``index`` attend to, with the cheapest mask that says so."""
        prefix = self._prefix if self._config.bidirectional_condition else 1
        if isinstance(memory.slots, slice):
            if memory.slots.start == 0 and prefix == 1:
                return Attending(causal=True, memory=memory)
            if index.shape[1] == 1:
                return Attending(causal=False, memory=memory)
        return Attending(causal=False, mask=visible(index, memory.count, prefix), memory=memory)

    def _asking(self, attending: Attending, index: Tensor, last: Tensor | None) -> Attending:
        """The same for the last token of every row alone, which is all that is asked of the last block.

        Args:
            attending: What all tokens attend to.
            index: int64 (B or 1, n), their places.
            last: int64 (B,), which of the n is a row's last one; ``None`` where it is the last of them in every row.
        """
        if index.shape[1] == 1:
            return attending
        memory = attending.memory
        assert memory is not None
        if last is None:
            # It comes after all others, so that there is nothing to mask.
            return Attending(causal=False, memory=memory, asked=slice(-1, None))
        place = index.expand(len(last), -1).gather(1, last[:, None])
        # All of the prefix comes before it, or ends with it, and is visible either way.
        return Attending(causal=False, mask=visible(place, memory.count, 1), memory=memory, asked=last[:, None])

    def _prefix_rows(self, condition: Tensor) -> Tensor:
        """Embedding rows of the prefix, int64 (B, P₀): the condition (B, P), or the start token where P = 0."""
        if condition.shape[1]:
            return condition + self._offsets
        return condition.new_full((len(condition), 1), self._start)

    def _embed(self, tokens: Tokens) -> Tensor:
        """float (B, n, C)."""
        by_time = self._config.positions == "time"
        positions = tokens.times.clamp(max=self._block_size - 1) if by_time else tokens.places
        x: Tensor = self.tok_emb(tokens.rows) + F.embedding(positions, self.pos_emb[0])
        if self.target_emb is not None:
            predicting = (tokens.times >= self._prefix - 1)[..., None]
            x = x + F.embedding(tokens.predicts, self.target_emb) * predicting
        return x

    def _run(self, x: Tensor, groups: Sequence[Group], asking: Sequence[Group] | None = None) -> Tensor:
        """All blocks, float (S, C) to float (S, C), or to the tokens (A, C) that ``asking`` asks the last one for."""
        last = len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            x = block(x, layer, asking if asking is not None and layer == last else groups)
        return x

    def _to_logits(self, x: Tensor) -> Tensor:
        """float (B, n, C) to logits (B, n, V), in float32 where the arithmetic is of lower precision."""
        logits: Tensor = self.head(self.ln_f(x))
        logits = logits[..., : self._vocab_size]  # more rows than codes are the setting vocabulary_rows
        return logits.float() if logits.dtype.itemsize < 4 else logits


def _vocabulary(space: CodeSpace, layout: ConditionLayout, config: GPTConfig) -> Vocabulary:
    """The rows that the tokens need."""
    return Vocabulary.shared(space, layout) if config.vocabulary == "shared" else Vocabulary.separate(space, layout)
