"""Datasets of images through Hugging Face ``datasets``: Parquet files, folders of image files, and the hub."""
