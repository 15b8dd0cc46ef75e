"""What every component promises, as checks that plugin authors and our own tests run.

Each check is a plain function that raises ``AssertionError`` with the promise, what was seen and where to look. They are in one
module per kind: ``priors``, ``orderings``, ``tokenizers``, ``samplers``; ``inputs`` makes random codes and conditions.
"""
