"""The paper's transformer prior (Esser et al., "Taming Transformers for High-Resolution Image Synthesis")."""
