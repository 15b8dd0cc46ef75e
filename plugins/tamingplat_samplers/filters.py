"""What narrows a distribution before a code is drawn from it.

A code that is taken out has the logit −∞. Among equal logits the lower code counts as the more likely one, so that what is kept
never depends on how a device sorts.

Shape letters: V vocabulary; … any leading dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor


def top_k(logits: Tensor, k: int | Tensor) -> Tensor:
    """Keep exactly the k most likely codes; all of them where k is at least V.

    Args:
        logits: float (…, V).
        k: At least 1; or int64 (…), one for every distribution.

    Returns:
        float (…, V), −∞ where a code was taken out.
    """
    vocab_size = logits.shape[-1]
    if isinstance(k, Tensor):
        k = k[..., None]
        threshold = logits.sort(dim=-1, descending=True).values.gather(-1, k.clamp(max=vocab_size) - 1)
    elif k >= vocab_size:
        return logits
    else:
        threshold = logits.topk(k, dim=-1).values[..., -1:]
    above, equal = logits > threshold, logits == threshold
    room = k - above.sum(-1, keepdim=True)
    return torch.where(above | (equal & (equal.cumsum(-1) <= room)), logits, -torch.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of most likely codes whose probability is at least p; always one code or more.

    Args:
        logits: float (…, V); −∞ is probability zero. At least one is finite.
        p: In (0, 1]; 1 keeps all.

    Returns:
        float (…, V), −∞ where a code was taken out.
    """
    if p >= 1:
        return logits
    ordered, codes = logits.sort(dim=-1, descending=True, stable=True)
    mass = ordered.softmax(-1).cumsum(-1)
    # A code stays while the mass of those before it falls short of p; before the first there is none.
    enough = torch.cat([torch.zeros_like(mass[..., :1], dtype=torch.bool), mass[..., :-1] >= p], dim=-1)
    return logits.masked_fill(torch.zeros_like(enough).scatter(-1, codes, enough), -torch.inf)
