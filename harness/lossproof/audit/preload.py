"""Imported by the process from which workers are forked: what every one of them needs."""

import os

# before the libraries, which start their threads as they are imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import lossproof.audit.worker  # noqa: F401
