"""Vector-quantized image tokenizers: VQVAE and VQGAN, one encoder and decoder with two objectives."""
