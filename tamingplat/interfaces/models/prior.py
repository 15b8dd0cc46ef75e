"""Priors: exact likelihoods of codes along a visiting plan.

Shape letters: B batch, N code positions, V vocabulary, P condition positions, T visited, K targets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from torch import Tensor

from tamingplat.interfaces.config import Config
from tamingplat.interfaces.models.trainable import Trainable
from tamingplat.interfaces.models.visits import VisitPlan
from tamingplat.interfaces.spaces import CodeSpace, ConditionLayout

Visits = Literal["in_order", "any_subset"]


@dataclass(frozen=True)
class PriorBatch:
    """What a prior is trained on.

    Attributes:
        codes: int64 (B, N) in canonical order.
        condition: int64 (B, P) in layout order.
        plan: The visiting plan of each image; see ``Prior.nll`` for its device.
    """

    codes: Tensor
    condition: Tensor
    plan: VisitPlan


class PriorState(ABC):
    """What a prior remembers of a prefix of the visited positions, for incremental decoding."""

    @abstractmethod
    def select(self, rows: Tensor) -> Self:
        """The state of some rows, int64 (B',), in that order; a row may occur several times."""

    def take(self, rows: Tensor) -> Self:
        """As ``select``, of a state that is used no more but to take other rows from it, each row once.

        A state that need not copy rows for that may share them with what is taken.
        """
        return self.select(rows)

    @classmethod
    @abstractmethod
    def cat(cls, states: Sequence[Self]) -> Self:
        """The rows of several states, which may have visited different numbers of positions, as one batch; uses them up."""

    def blank(self, rows: int) -> Self | None:
        """So many rows of which nothing is known, neither codes nor condition, to be joined with others by ``cat``.

        They let rows that begin anew and rows that go on be asked for in one call. ``None`` where that would save nothing,
        because a call computes all rows anew as soon as one has to be.
        """
        return None

    def blank_once(self, rows: int) -> Self | None:
        """As ``blank``, of rows of which nothing is asked after the next call.

        A state may keep nothing of them, and is then of no use to go on from: a call that is given it computes them anew.
        ``None`` where it would keep them all the same.
        """
        return None


class Prior(Trainable):
    """A distribution over codes given a condition. Trained on ``PriorBatch``; its total is the mean of ``nll``.

    Built as ``cls(space, layout, config, parts)``. A prior supplies its own start token where P = 0.
    """

    visits: ClassVar[Visits] = "in_order"
    """``in_order``: only the plan's next step can be predicted (a causal model). ``any_subset``: any targets given any visited
    positions (a masked model). A sampler says which it needs."""

    grouped: ClassVar[bool] = False
    """Whether several positions can be visited at one step."""

    def __init__(self, space: CodeSpace, layout: ConditionLayout, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__()

    @classmethod
    def refusal(cls, space: CodeSpace, layout: ConditionLayout, config: Config) -> str | None:
        """Why this prior cannot model such codes under such a condition, with the remedy; ``None`` where it can."""
        return None

    def unused_parameters(self, plan: VisitPlan) -> int:
        """How many parameters never train under a plan, because nothing that they could read is visited in time.

        Reported beside the number of all parameters. It reads the plan alone, so that it can be asked of a model on the meta
        device.

        Args:
            plan: Visiting plan of one row or more, on any device but the meta device.
        """
        return 0

    @abstractmethod
    def nll(self, codes: Tensor, condition: Tensor, plan: VisitPlan) -> Tensor:
        """Exact −log p in nats of every code given the condition and what the plan visits before it.

        Args:
            codes: int64 (B, N) in canonical order.
            condition: int64 (B, P) in layout order.
            plan: Visiting plan of B rows, on the same device; on the CPU where codes and weights are on the meta device, so
                that operations can be counted without being carried out.

        Returns:
            float (B, N) in canonical order, at least float32.
        """

    @abstractmethod
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
    ) -> tuple[Tensor, PriorState]:
        """Unnormalised log-probabilities of target positions given visited ones: the one primitive of all decoding.

        Args:
            codes: int64 (B, N) in canonical order; values outside ``visited`` do not matter.
            visited: int64 (B, T), canonical positions in visiting order, right-padded. A sampler slices ``visited`` and
                ``targets`` from one order, and writes to neither while it goes on from a state: a prior may then take views of
                the same memory as equal without reading them, which would have to wait for the device.
            targets: int64 (B, K), predicted independently of each other. An ``in_order`` prior takes the plan's next step.
            condition: int64 (B, P) in layout order.
            lengths: int64 (B,), how many of each row's ``visited`` count; all T where ``None``.
            state: What an earlier call returned for a prefix of ``visited`` of the same rows, with the same codes there; only
                the rest is computed. A state is used up by the call that it is given to.
            sizes: int64 (S,), how many of ``visited`` were visited together at each step, where more than one was: the plan's
                own. Only a ``grouped`` prior looks at it, and only without a state, which knows.

        Returns:
            Logits, float (B, K, V), and the state of all that is now visited.
        """
