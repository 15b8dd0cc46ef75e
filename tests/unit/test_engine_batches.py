"""Batch order and loading."""

from __future__ import annotations

from collections import Counter
from types import ModuleType

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tamingplat.engine.batches import BatchOrder, Rows, TrainingRows, load_batches, training_schedule
from tamingplat.interfaces import DataError, Problem, ProblemsError, TamingplatError

CPU = torch.device("cpu")


def _sequence(order: BatchOrder, steps: int) -> list[tuple[int, int]]:
    return [
        (epoch, index)
        for step in range(steps)
        for epoch, indices in order.examples(Rows(step, 0, order.batch_size))
        for index in indices
    ]


@given(length=st.integers(1, 30), batch_size=st.integers(1, 40), seed=st.integers(0, 5), steps=st.integers(1, 12))
def test_every_epoch_has_every_example_once(length: int, batch_size: int, seed: int, steps: int):
    sequence = _sequence(BatchOrder(length, batch_size, seed), steps)
    assert len(sequence) == steps * batch_size
    assert [epoch for epoch, _ in sequence] == [position // length for position in range(steps * batch_size)]
    whole = steps * batch_size // length
    counts = Counter(sequence)
    assert all(counts[epoch, index] == 1 for epoch in range(whole) for index in range(length))
    assert set(counts.values()) == {1}


def test_epochs_and_seeds_have_orders_of_their_own_that_need_no_history():
    order = BatchOrder(50, 7, seed=1)
    first, second = order.permutation(0).tolist(), order.permutation(1).tolist()
    assert first != second
    assert BatchOrder(50, 7, seed=2).permutation(0).tolist() != first
    assert BatchOrder(50, 13, seed=1).permutation(1).tolist() == second
    assert BatchOrder(50, 7, seed=1).examples(Rows(9, 2, 5)) == order.examples(Rows(9, 2, 5))


@given(processes=st.sampled_from([1, 2, 4]), accumulation=st.sampled_from([1, 2, 3]), share=st.integers(1, 3))
def test_processes_share_a_batch_part_by_part(processes: int, accumulation: int, share: int):
    batch_size = processes * accumulation * share
    schedules = [
        list(training_schedule(range(4, 6), batch_size, process=process, processes=processes, accumulation_steps=accumulation))
        for process in range(processes)
    ]
    together = [rows for turn in zip(*schedules, strict=True) for rows in turn]
    covered = [(rows.batch, row) for rows in together for row in range(rows.start, rows.stop)]
    assert covered == [(step, row) for step in (4, 5) for row in range(batch_size)]


def test_a_batch_can_span_epochs(toys: ModuleType):
    data = toys.Points(length=5)
    order = BatchOrder(5, 4, seed=0)
    batch = TrainingRows(data, order)(Rows(1, 0, 4))
    expected = [*order.permutation(0)[4:].tolist(), *order.permutation(1)[:3].tolist()]
    assert batch["index"].tolist() == expected
    assert batch["epoch"].tolist() == [0, 1, 1, 1]
    assert batch["x"].shape == (4, toys.WIDTH)


def test_workers_load_the_same_in_the_same_order(toys: ModuleType):
    data, order = toys.Points(length=9), BatchOrder(9, 4, seed=0)
    items = [Rows(step, 0, 4) for step in range(6)]
    state = torch.get_rng_state()
    inline = list(load_batches(TrainingRows(data, order), items, workers=0, device=CPU))
    apart = list(load_batches(TrainingRows(data, order), iter(items), workers=2, device=CPU))
    assert torch.equal(torch.get_rng_state(), state)
    assert [item for item, _ in inline] == [item for item, _ in apart] == items
    for (_, one), (_, other) in zip(inline, apart, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def _fail_with_data_error(item: int) -> dict[str, torch.Tensor]:
    raise DataError(f"cat-{item}.png: not an image")


def _fail_with_problems(item: int) -> dict[str, torch.Tensor]:
    raise ProblemsError([Problem("a", "wrong"), Problem("b", "wrong")])


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_of_loading_arrive_as_they_are(workers: int):
    with pytest.raises(DataError) as caught:
        list(load_batches(_fail_with_data_error, [7], workers=workers, device=CPU))
    assert str(caught.value) == "cat-7.png: not an image"
    with pytest.raises(TamingplatError) as caught:
        list(load_batches(_fail_with_problems, [7], workers=workers, device=CPU))
    assert str(caught.value) == "a: wrong\nb: wrong"


def test_loading_can_be_left_early(toys: ModuleType):
    batches = load_batches(
        TrainingRows(toys.Points(), BatchOrder(40, 4, seed=0)),
        (Rows(step, 0, 4) for step in range(10**9)),
        workers=1,
        device=CPU,
    )
    assert next(batches)[0] == Rows(0, 0, 4)
    batches.close()
