"""Visiting orders: raster, spiral-out, spiral-in, z-curve, subsample and alternate."""
