"""The classes of samples: which ones a condition names, and the how-manieth sample of its class each one is."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tamingplat.stages.sampled_classes import ClassesOfSamples


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.lists(st.integers(0, 2), min_size=4, max_size=4), st.data())
def test_ordinals_count_the_samples_before_that_have_the_same_token(labels: list[int], tokens: list[int], data: st.DataObject):
    classes = ClassesOfSamples(("a", "b", "c", "d"), torch.tensor(tokens), np.array(labels))
    indices = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=6))
    found = classes.of(indices)
    named = [tokens[labels[index % len(labels)]] for index in range(41)]
    for row, index in enumerate(indices):
        assert int(found.ordinals[row]) == named[:index].count(named[index])
        assert found.members[row].tolist() == [token == named[index] for token in tokens]
    assert sorted(classes.counts(range(3, 30))) == sorted(Counter(named[3:30]).values())
