"""What every component promises, for plugin authors and for the shipped plugins alike.

One line in a test file gives one test for each promise of a component's kind::

    TestFsqToy = conformance("tokenizer:fsq-toy", config={"levels": [4, 4]})

``run_promises`` keeps the same promises to account without pytest, as ``tamingplat plugins check`` does. The promises are in
``promises``, a module per kind. Most are built from plain functions that can be called with inputs of one's own, and that raise
``AssertionError`` with the promise, what was seen and where to look: ``priors``, ``orderings``, ``tokenizers``, ``samplers``
and ``conditioners``; ``inputs`` makes random codes and conditions.

Importing this package imports neither torch nor pytest.
"""

from tamingplat.testing.kit import conformance, run_promises
from tamingplat.testing.verdicts import Promise, Verdict

__all__ = ["Promise", "Verdict", "conformance", "run_promises"]
