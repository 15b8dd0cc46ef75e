"""PixelSNAIL over codes, causal under any visiting plan.

Chen, Mishra, Rohaninejad, Abbeel: PixelSNAIL: An Improved Autoregressive Generative Model, https://arxiv.org/abs/1712.09763.

What follows the paper (Sec. 2, Figs. 3 and 4) and its authors' code: gated residual layers of two convolutions each, in stacks
of ``residual_layers``, each stack followed by an attention layer whose keys and values come from features, input and background
coordinates and whose queries come from features and coordinates, both through a pointwise gated residual layer, as does what is
found; scores divided by the root of the keys' channels; dropout before the second convolution of every gated residual layer,
pointwise ones included; a final ELU and a pointwise layer. By default keys have 16 channels, values half the width, and there
is one head. The first convolution has the authors' support: three positions above and one to the left.

What departs from it, and why:

* Convolutions (Sec. 2: masked to the left and above; the authors' code shifts 2×2 kernels). Here each owns a 3×3 kernel masked
  at every position by the visiting plan: the first reads neighbours that are visited at an earlier step, later ones the
  position itself too. So one set of parameters serves every order. Row by row the taps are the three above, the left one and
  the centre: one more, above right, than a 2×2 kernel has; ``unused_parameters`` counts those that an order leaves idle.
* Activation: the ELU of x and of −x side by side, which is the default of the functions in the authors' code; their training
  script sets plain ELU unless told otherwise.
* Output (Sec. 2, a discretized mixture of logistics over three subpixels): a softmax over the vocabulary, because codes have
  no metric. A position holds one code, so there is no autoregression over channels.
* Input: codes are embedded, and attention layers see the embeddings where the authors' see pixels. An embedding of a visited
  position is distinct from the zeros of others, so the authors' channel of ones, which marks padding, is not needed.
* Attention (Sec. 2): several heads are possible. A position without predecessors gets zeros, as from the authors' code, where
  1e-6 in the denominator does it and lowers all other weights by as large a share at most.
* Weight normalisation with data-dependent initialisation (Salimans and Kingma 2016, in the authors' code) is left out: its
  first batch would make the initial weights depend on the data and on the visiting order. Weights are drawn from a normal
  distribution of variance 1 / fan-in; those that end a residual branch have a tenth of that scale, as in the authors' code, and
  so does the last layer, which has not there. What a pointwise layer adds from the attention has no bias of its own, which
  would double the one beside it.
* Conditions (Sec. 1 names a global h; no experiment of the paper has one): tokens without a place, and maps, are added in
  every gated residual layer of the stacks, not in the pointwise ones (``context.py``).
* Several grids of codes: one network per grid. A finer grid takes the coarser ones as maps that it is conditioned on.
* Training: the authors' Adam with β = (0.95, 0.9995), a rate of 1e-3 that decays geometrically, and Polyak averages are the
  training settings' to choose; the component's own are AdamW's of the transformer at a constant rate of 3e-4, so that both
  priors are trained alike.

Shape letters: B batch, N code positions, P condition tokens, T visited, K targets, V vocabulary, R rows of distinct orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tamingplat.interfaces import CodeSpace, ConditionLayout, ConditionPart, Config, TamingplatError
from tamingplat.interfaces.models import ParameterGroup, Prior, PriorBatch, PriorState, VisitPlan
from tamingplat_pixelsnail.config import PixelSNAILConfig
from tamingplat_pixelsnail.context import plane
from tamingplat_pixelsnail.decoding import Grid, begins_row_by_row, proceed, recompute, visiting_steps
from tamingplat_pixelsnail.geometry import OFFSETS, Geometry, GeometryCache, earlier_neighbours
from tamingplat_pixelsnail.stack import GridStack
from tamingplat_pixelsnail.state import PixelSNAILState


class PixelSNAIL(Prior):
    """PixelSNAIL; see the module's docstring for what it is.

    Attributes:
        sliced: Whether row-by-row orders run as sliced convolutions, which is faster than masks and equal up to rounding.
    """

    grouped = True

    def __init__(self, space: CodeSpace, layout: ConditionLayout, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(space, layout, config, parts)
        assert isinstance(config, PixelSNAILConfig), config
        reason = self.refusal(space, layout, config)
        if reason is not None:
            raise TamingplatError(f"prior:pixelsnail: {reason}")
        self.space = space
        self.layout = layout
        self.sliced = True
        coarser: ConditionLayout = ()
        stacks = []
        for index, grid in enumerate(space.grids):
            stacks.append(GridStack(plane(grid), space.vocab_size, (*layout, *coarser), config))
            coarser = (*coarser, ConditionPart(f"grid {index}", space.vocab_size, grid))
        self.stacks = nn.ModuleList(stacks)
        self._cache = GeometryCache()

    @classmethod
    def refusal(cls, space: CodeSpace, layout: ConditionLayout, config: Config) -> str | None:
        """See ``Prior``: kernels have two dimensions, and so has everything that they run over."""
        for grid in space.grids:
            if len(grid) > 2:
                return (
                    f"its kernels have two dimensions, the codes' grid {grid} has {len(grid)}; "
                    "choose a tokenizer with flat grids"
                )
        for part in layout:
            if part.grid is not None and len(part.grid) > 2:
                return (
                    f"its kernels have two dimensions, the grid {part.grid} of condition {part.name} has {len(part.grid)}; "
                    "choose a conditioner with flat grids"
                )
        return None

    def phase_parameters(self, phase: str) -> Iterable[ParameterGroup]:
        """Weight decay on the weights of linear and convolutional layers; none on biases and embeddings."""
        assert phase in self.phases, phase
        embeddings = {id(module.weight) for module in self.modules() if isinstance(module, nn.Embedding)}
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        decays = [parameter.ndim > 1 and id(parameter) not in embeddings for parameter in parameters]
        chosen = list(zip(parameters, decays, strict=True))
        return (
            ParameterGroup(tuple(parameter for parameter, decay in chosen if decay)),
            ParameterGroup(tuple(parameter for parameter, decay in chosen if not decay), decay=False),
        )

    def forward(self, batch: PriorBatch, *, step: int, phase: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        """See ``Trainable``: ``total`` is the mean negative log-likelihood per code, in nats."""
        drawn = generator if self.training else None
        return {"total": self._nll(batch.codes, batch.condition, batch.plan, drawn).mean()}

    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        """See ``Prior``; nothing is dropped."""
        return self._nll(codes, condition, plan, None)

    def _nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan, generator: torch.Generator | None) -> Tensor:
        parts = []
        for grid, geometry in zip(self._grids(), self._geometries(plan), strict=True):
            targets = codes[:, grid.start : grid.stop]
            logits = grid.stack(targets, grid.conditions(codes, condition), geometry, generator)
            logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
            parts.append(loss.view_as(targets))
        return torch.cat(parts, dim=1)

    def _grids(self) -> tuple[Grid, ...]:
        stacks = cast(Iterable[GridStack], self.stacks)
        sole = len(self.stacks) == 1
        return tuple(
            Grid(stack, start, start + stack.length, sole) for stack, start in zip(stacks, self.space.offsets, strict=True)
        )

    def _steps(self, plan: VisitPlan) -> Tensor:
        """int64 (R, N): the steps of a plan whose coarser grids come first."""
        steps = (plan.rows(0, 1) if plan.shared else plan).steps()
        for boundary in self.space.offsets[1:]:
            if (steps[:, :boundary].amax(1) >= steps[:, boundary:].amin(1)).any():
                raise TamingplatError(
                    "prior:pixelsnail: the visiting plan mixes grids; all of a coarser grid has to come before a finer one"
                )
        return steps

    def _geometries(self, plan: VisitPlan) -> tuple[Geometry, ...]:
        batch = len(plan.order)
        weight = self._grids()[0].stack.first.weight
        steps = self._steps(plan)
        # What is made in inference mode cannot be used in training.
        key = (batch, weight.dtype, weight.device, self.sliced, torch.is_inference_mode_enabled())
        known = self._cache.get(steps, key) if plan.shared else None
        if known is None:
            known = tuple(
                grid.stack.geometry(steps[:, grid.start : grid.stop], batch, sliced=self.sliced) for grid in self._grids()
            )
            if plan.shared:
                self._cache.put(key, known)
        return known

    def unused_parameters(self, plan: VisitPlan) -> int:
        """See ``Prior``: the kernel taps that a plan uses at no position.

        Row by row these are the taps of the future, and in every order the centre of the first convolution.
        """
        steps = self._steps(plan)
        unused = 0
        for grid in self._grids():
            inside = steps[:, grid.start : grid.stop]
            used = earlier_neighbours(inside, grid.stack.height, grid.stack.width).any((0, 1)).tolist()
            for convolution in grid.stack.convolutions():
                taps = len(OFFSETS) - sum(used) + convolution.strict
                unused += taps * convolution.inputs * convolution.outputs
        return unused

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
    ) -> tuple[Tensor, PixelSNAILState]:
        """See ``Prior``. No gradient is recorded: ``nll`` is what is trained.

        A column of a visited position depends on what was visited before that position's step. Which positions were visited
        together is known to the state that predicted them together. Without it, it is told by ``sizes``, int64 (S,), the
        plan's steps; every position is its own step where that is not given.

        A call that is given a state does not wait for the device where all rows have visited equally many positions and
        ``visited`` and ``targets`` are slices of one order; other calls wait once or more.
        """
        assert state is None or isinstance(state, PixelSNAILState), state
        return self._predict(codes, visited, targets, condition, lengths, state, sizes)

    def _predict(
        self,
        codes: Tensor,
        visited: Tensor,
        targets: Tensor,
        condition: Tensor,
        lengths: Tensor | None,
        state: PixelSNAILState | None,
        sizes: Tensor | None,
    ) -> tuple[Tensor, PixelSNAILState]:
        """See ``logits``."""
        B, T = visited.shape
        if state is None and T == 0:
            state = PixelSNAILState.empty(B, self.space.length, codes.device)
        arrivals = None if state is None else state.newly_visited(visited, lengths)
        if state is not None and arrivals is None and sizes is None:
            of_rows = torch.full((B,), T, device=codes.device) if lengths is None else lengths
            goes_on = state.serves(visited, of_rows)
            if any(goes_on):
                return self._apart(codes, visited, targets, condition, of_rows, state, goes_on)
        if state is None or arrivals is None:
            alone = sizes is None or len(sizes) == self.space.length
            # A state may know of positions that were visited together, in which order these are no beginning of anything.
            in_order = alone and state is None and begins_row_by_row(self._grids(), visited, lengths, targets)
            lengths = torch.full((B,), T, device=codes.device) if lengths is None else lengths
            steps = visiting_steps(visited, lengths, self.space.length, sizes, state)
            return recompute(self._grids(), codes, targets, condition, steps, lengths, T if in_order else None)
        return proceed(self._grids(), codes, targets, condition, state, arrivals, T if lengths is None else None)

    def _apart(
        self,
        codes: Tensor,
        visited: Tensor,
        targets: Tensor,
        condition: Tensor,
        lengths: Tensor,
        state: PixelSNAILState,
        goes_on: list[bool],
    ) -> tuple[Tensor, PixelSNAILState]:
        """``logits`` where the state serves some rows and not others, which alone are computed anew.

        Args:
            codes: As in ``logits``, like the others.
            visited: Likewise.
            targets: Likewise.
            condition: Likewise.
            lengths: Likewise; given.
            state: Likewise.
            goes_on: Which rows it serves.
        """
        served = [row for row, serves in enumerate(goes_on) if serves]
        others = [row for row, serves in enumerate(goes_on) if not serves]
        states, found = [], []
        for rows in (served, others):
            index = torch.tensor(rows, device=codes.device)
            kept = state.take(index)
            # Rows that have visited nothing know of no steps that a new beginning would forget.
            blank = rows is others and not bool(kept.lengths.any())
            logits, of_rows = self._predict(
                codes[index],
                visited[index],
                targets[index],
                condition[index],
                lengths[index],
                None if blank else kept,
                None,
            )
            states.append(of_rows)
            found.append(logits)
        logits, joined = torch.cat(found), PixelSNAILState.cat(states)
        if served[-1] < others[0]:
            return logits, joined
        places = torch.tensor([*served, *others], device=codes.device).argsort()
        return logits[places], joined.take(places)
