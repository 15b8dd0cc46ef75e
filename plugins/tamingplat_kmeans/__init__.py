"""The f = 1 tokenizer: pixels as indices into a palette fitted by k-means."""
