"""The networks that the tokenizers are made of."""
