"""Trains many small networks on many small datasets and writes what happened as a corpus."""
