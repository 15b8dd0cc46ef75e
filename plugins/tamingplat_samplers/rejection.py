"""Classifier-based rejection sampling: candidates that a classifier takes for the class of their condition are kept.

Razavi, van den Oord and Vinyals, "Generating Diverse High-Fidelity Images with VQ-VAE-2", NeurIPS 2019, Sec. 3.4 and 4.4. With
a transformer over VQGAN's codes: Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis", Tab. 4 of
the later version, where samples are the share ``acceptance`` of a pool.

Shape letters: B batch, C/H/W image, N code positions, L classes of the dataset, K kept candidates, M candidates of a chunk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tamingplat.interfaces import CodeSpace, ConditionLayout, Config, TamingplatError, derive_seed
from tamingplat.interfaces.models import (
    Classifier,
    PlannedClasses,
    Prior,
    PriorScope,
    SampledClasses,
    Sampler,
    SampleRequest,
    VisitPlan,
)
from tamingplat_samplers.config import RejectionConfig

_Pools = dict[tuple[int, int, tuple[int, int]], Tensor]
"""The kept candidates, int32 (K, N), in the order of their numbers, by seed, condition token and image size."""


class Rejection(Sampler):
    """Has another sampler draw candidates, and keeps those whose class a classifier is surest of.

    A candidate's score is log p(class | image) of its decoded image as a file would hold it; of a condition that does not tell
    several classes apart, of any of them. Among equal scores the candidate with the lower number is kept.

    In the mode best-of-m candidate c of sample i is sample i of a seed that c addresses, so that a sample depends on its number
    alone, and more candidates never make it worse. In the mode pool the candidates of a class are numbered for themselves, and
    sample j of a class is the j-th of those that are kept, in the order of their numbers and not of their scores: fewer samples
    than are kept are as good as all of them, and it is the acceptance that decides how good that is.
    """

    def __init__(self, config: Config, parts: Mapping[str, Any]) -> None:
        super().__init__(config, parts)
        assert isinstance(config, RejectionConfig)
        self._config = config
        self._sampler: Sampler = parts["sampler"]
        self._classifier: Classifier = parts["classifier"]
        self.needs = self._sampler.needs  # type: ignore[misc]
        self._pools: WeakKeyDictionary[Prior, _Pools] = WeakKeyDictionary()

    def refusal(self, space: CodeSpace, layout: ConditionLayout, *, ordering: str) -> str | None:
        """Why the other sampler cannot draw such codes, or why there can be no pool of them."""
        if self._config.mode == "pool" and self._sampler.given_positions(space) is not None:
            return 'completes images, each of which needs candidates of its own; set mode = "best-of-m"'
        return self._sampler.refusal(space, layout, ordering=ordering)

    def prior_refusal(self, space: CodeSpace, layout: ConditionLayout, scope: PriorScope) -> str | None:
        """Why the other sampler cannot draw from a prior that was trained so."""
        return self._sampler.prior_refusal(space, layout, scope)

    def given_positions(self, space: CodeSpace) -> npt.NDArray[np.bool_] | None:
        """Those of the other sampler."""
        return self._sampler.given_positions(space)

    def class_refusal(self, classes: PlannedClasses | None) -> str | None:
        """Why there is no class to score, or the classifier does not know it, or a pool is too small."""
        if classes is None:
            return (
                "chooses candidates by the class that their condition names, and this condition names none; take the "
                "conditioner class, or a sampler without rejection (matrix.exclude leaves single cells out)"
            )
        used = self._config.classifier.use
        if reason := self._classifier.image_refusal(classes.info):
            return f"its classifier {used} {reason}"
        if reason := self._unknown_classes(classes.info.label_names or ()):
            return reason
        if self._config.mode == "pool":
            if not classes.alone:
                return 'has one pool for a class, and the condition holds more than the class; set mode = "best-of-m"'
            if classes.random_order:
                return 'has one pool for all orders, and every sample has an order of its own; set mode = "best-of-m"'
            largest = classes.largest()
            if largest is not None and largest > self._config.kept:
                return self._too_few(largest)
        return self._sampler.class_refusal(classes)

    def drawn(self, counts: Sequence[int]) -> int:
        """How many candidates are drawn for samples of classes in these numbers."""
        if self._config.mode == "pool":
            assert self._config.pool is not None
            return self._sampler.drawn([self._config.pool for count in counts if count])
        return self._sampler.drawn([count * self._config.of_each for count in counts])

    @torch.no_grad()
    def sample(self, request: SampleRequest) -> Tensor:
        """Codes, int64 (B, N).

        Raises:
            TamingplatError: The request names no classes, or classes that the classifier does not know, or samples beyond what
                a pool keeps.
        """
        classes = request.classes
        if classes is None:
            raise TamingplatError(f"sampler:rejection: {self.class_refusal(None)}")
        if reason := self._unknown_classes(classes.names):
            raise TamingplatError(f"sampler:rejection: {reason}")
        if self._config.mode == "pool":
            return self._from_pools(request, classes)
        starts = range(0, len(request.indices), self._config.chunk)
        return torch.cat([self._best_of_each(_rows(request, start, start + self._config.chunk)) for start in starts])

    def _best_of_each(self, request: SampleRequest) -> Tensor:
        """The best candidate of every sample, int64 (B, N)."""
        best = self._sampler.sample(request)
        if self._config.of_each == 1:
            return best
        highest = self._scores(request, best)
        for number in range(1, self._config.of_each):
            candidates = self._sampler.sample(replace(request, seed=derive_seed(request.seed, "candidate", number)))
            scores = self._scores(request, candidates)
            better = scores > highest
            best = torch.where(better[:, None], candidates, best)
            highest = torch.where(better, scores, highest)
        return best

    def _from_pools(self, request: SampleRequest, classes: SampledClasses) -> Tensor:
        """The candidates whose turn it is, int64 (B, N)."""
        if request.condition.shape[1] != 1 or not bool((request.plan.order == request.plan.order[:1]).all()):
            raise TamingplatError(
                'sampler:rejection: a pool is of one class and one order, and these samples have more; set mode = "best-of-m"'
            )
        if request.given is not None:
            raise TamingplatError('sampler:rejection: a pool holds no completions of given codes; set mode = "best-of-m"')
        tokens, ordinals = request.condition[:, 0].tolist(), classes.ordinals.tolist()
        if max(ordinals) >= self._config.kept:
            raise TamingplatError(f"sampler:rejection: {self._too_few(max(ordinals) + 1)}")
        kept = self._pools.setdefault(request.prior, {})
        rows = []
        for row, (token, ordinal) in enumerate(zip(tokens, ordinals, strict=True)):
            key = (request.seed, token, request.image_size)
            if key not in kept:
                kept[key] = self._pool(_rows(request, row, row + 1), token)
            rows.append(kept[key][ordinal])
        return torch.stack(rows).long()

    def _pool(self, request: SampleRequest, token: int) -> Tensor:
        """The kept candidates of the class of a request of one sample, in the order of their numbers, int32 (K, N)."""
        assert self._config.pool is not None
        codes = torch.empty(0, request.space.length, dtype=torch.int32, device=request.condition.device)
        scores = torch.empty(0, device=request.condition.device)
        seed = derive_seed(request.seed, "pool", token)
        for start in range(0, self._config.pool, self._config.chunk):
            stop = min(start + self._config.chunk, self._config.pool)
            chunk = replace(_repeated(request, range(start, stop)), seed=seed)
            drawn = self._sampler.sample(chunk)
            codes = torch.cat([codes, drawn.int()])
            scores = torch.cat([scores, self._scores(chunk, drawn)])
            best = scores.sort(descending=True, stable=True).indices[: self._config.kept].sort().values
            codes, scores = codes[best], scores[best]
        return codes

    def _scores(self, request: SampleRequest, codes: Tensor) -> Tensor:
        """log p(class | image) of candidates, float32 (B,), for codes int64 (B, N)."""
        classes = request.classes
        assert classes is not None
        images = request.tokenizer.decode(codes, request.image_size).float()
        seen = images.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        columns = torch.tensor(self._columns(classes.names), device=seen.device)
        log_probabilities = self._classifier.log_probabilities(seen)[:, columns]
        return log_probabilities.masked_fill(~classes.members, -torch.inf).logsumexp(1)

    def _columns(self, names: Sequence[str]) -> list[int]:
        """Which of the classifier's outputs is each of the dataset's classes."""
        known = {name: place for place, name in enumerate(self._classifier.label_names)}
        return [known[name] for name in names]

    def _unknown_classes(self, names: Sequence[str]) -> str | None:
        """Why the classifier cannot score all of the dataset's classes."""
        known, used = self._classifier.label_names, self._config.classifier.use
        if unknown := [name for name in names if name not in known]:
            more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
            return (
                f"its classifier {used} does not know the dataset's classes {', '.join(unknown[:10])}{more}; take one that is "
                "trained on this dataset, or say how its classes are called"
            )
        if twice := [name for name in names if known.count(name) > 1]:
            return (
                f"its classifier {used} has several classes called {', '.join(twice[:10])}; give its classes names of their own"
            )
        return None

    def _too_few(self, wanted: int) -> str:
        config = self._config
        return (
            f"keeps {config.kept} of a pool of {config.pool} candidates for each class, and {wanted} samples of one class are "
            "wanted; enlarge pool or acceptance, draw fewer samples, or "
            'set mode = "best-of-m"'
        )


def _rows(request: SampleRequest, start: int, stop: int) -> SampleRequest:
    """The samples ``start`` to ``stop`` of a request."""
    classes, given, null, images = request.classes, request.given, request.null_condition, request.images
    assert classes is not None
    return replace(
        request,
        plan=request.plan.rows(start, stop),
        condition=request.condition[start:stop],
        null_condition=None if null is None else null[start:stop],
        indices=request.indices[start:stop],
        given=None if given is None else (given[0][start:stop], given[1][start:stop]),
        images=None if images is None else images[start:stop],
        classes=replace(classes, members=classes.members[start:stop], ordinals=classes.ordinals[start:stop]),
    )


def _repeated(request: SampleRequest, numbers: range) -> SampleRequest:
    """Samples of these numbers that are like the one of a request, M of them."""
    classes, count = request.classes, len(numbers)
    assert classes is not None and len(request.indices) == 1
    null = request.null_condition
    return replace(
        request,
        plan=VisitPlan(request.plan.order.expand(count, -1), request.plan.sizes, shared=True),
        condition=request.condition.expand(count, -1),
        null_condition=None if null is None else null.expand(count, -1),
        indices=torch.arange(numbers.start, numbers.stop, device=request.indices.device),
        classes=replace(
            classes,
            members=classes.members.expand(count, -1),
            ordinals=torch.arange(numbers.start, numbers.stop, device=classes.ordinals.device),
        ),
    )
