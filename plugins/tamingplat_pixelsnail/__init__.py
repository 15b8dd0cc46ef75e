"""PixelSNAIL as a prior over codes, causal under any visiting plan."""
