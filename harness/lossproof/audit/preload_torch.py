"""Imported by the process from which workers are forked, where they need PyTorch.

One that cannot be imported is told by the worker that needs it, and does not end the process.
"""

from lossproof.frameworks.base import load

load("torch", "PyTorch")
