"""What every result depends on, whichever implementation it is of: lossproof itself, libraries, machine."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lossproof
from lossproof.audit.reuse.store import digest

VARIABLES = (
    *(
        "JAX_",
        "XLA_",
        "TF_",
        "TORCH",
        "PYTORCH",
        "ATEN_",
        "TRITON",
        "CUDA",
        "CUBLAS",
        "CUDNN",
        "NVIDIA",
        "ROCR_",
    ),
    *(
        "HIP_",
        "OMP_",
        "KMP_",
        "MKL",
        "BLIS_",
        "GOTO",
        "OPENBLAS",
        "VECLIB_",
        "DNNL_",
        "ONEDNN_",
        "NPY_",
        "NUMPY",
    ),
    *("SCIPY", "CXX", "CC", "CFLAGS", "CXXFLAGS", "LD_", "DYLD_"),
)
"""How the names of environment variables begin by which the libraries choose how they compute."""


DRIVER = Path("/proc/driver/nvidia")
"""Where NVIDIA's driver tells of itself on Linux."""

LOADED = time.time_ns()
"""When this process had read lossproof's modules, or had just begun to."""


@dataclass(frozen=True)
class Surroundings:
    """digest: of all of it. written: of the files among it.

    gpus: names of the GPUs and of their driver, None where there may be some unnamed.
    """

    digest: str
    written: str
    gpus: tuple[str, ...] | None


def surroundings() -> Surroundings:
    """The surroundings now; about 50 ms, most of it for the lists of files of what is installed."""
    found, on_disk = gpus(), written()
    parts = {
        "written": on_disk,
        "python": [sys.version, sys.flags.optimize, sys.flags.dev_mode],
        "machine": [platform.machine(), platform.system(), *platform.libc_ver(), _processor(), _cores()],
        "gpus": found,
        "compiler": _compiler(),
        "variables": {
            name: value
            for name, value in os.environ.items()
            # where compiled code is kept says nothing about it
            if name.startswith(VARIABLES) and "CACHE" not in name
        },
    }
    return Surroundings(digest(parts), on_disk, found)


def written() -> str:
    """A digest of lossproof's files and of what is installed, as they are now."""
    return digest([[[str(path), content] for path, content in _package()], sorted(_distributions())])


def files() -> list[Path]:
    """The source files of lossproof, without the adapters that come with it: those are looked at one by one."""
    home = Path(lossproof.__file__).parent
    adapters = home / "builtin" / "adapters"
    return sorted(path for path in home.rglob("*.py") if not path.is_relative_to(adapters))


def _package() -> Iterator[tuple[Path, str]]:
    home = Path(lossproof.__file__).parent
    for path in files():
        yield path.relative_to(home), hashlib.sha256(path.read_bytes()).hexdigest()


def _distributions() -> Iterator[list[str]]:
    """Name with version of what is installed, and its list of files, which holds their hashes.

    Where there is no such list, the time at which the distribution was written stands for it.
    """
    for place in dict.fromkeys(sys.path):
        with contextlib.suppress(OSError), os.scandir(place or os.curdir) as entries:
            for entry in entries:
                if not entry.name.endswith((".dist-info", ".egg-info")):
                    continue
                try:
                    with open(os.path.join(entry.path, "RECORD"), "rb") as file:
                        yield [entry.name, hashlib.sha256(file.read()).hexdigest()]
                except OSError:
                    yield [entry.name, str(entry.stat().st_mtime_ns)]


def _processor() -> str:
    """The processor's model and its instruction sets, by which libraries choose their kernels."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = []
            for line in file:
                if not line.strip():
                    break  # the first of them; a file of hundreds takes long
                if line.partition(":")[0].strip() in ("model name", "flags", "Features", "CPU part"):
                    lines.append(line.strip())
            return "\n".join(lines) or platform.processor()
    except OSError:
        return platform.processor()


def _cores() -> int:
    """How many there are for this process: a library splits a sum among them."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def _compiler() -> list[str]:
    """The compiler that torch.compile would call."""
    found = shutil.which(os.environ.get("CXX", "g++"))
    if found is None:
        return []
    real = os.path.realpath(found)
    return [real, str(os.path.getsize(real))]


@functools.cache
def gpus() -> tuple[str, ...] | None:
    """The NVIDIA GPUs and their driver, found without a framework; () without any.

    None where there is a driver that does not tell.
    """
    with contextlib.suppress(OSError):
        models = [
            line.partition(":")[2].strip()
            for each in sorted((DRIVER / "gpus").glob("*/information"))
            for line in each.read_text(errors="replace").splitlines()
            if line.startswith("Model:")
        ]
        if models:
            return (*models, (DRIVER / "version").read_text(errors="replace").partition("\n")[0])
    return _by_nvml()


def _by_nvml() -> tuple[str, ...] | None:
    """As `gpus`, asked of NVIDIA's management library, which comes with the driver."""
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return ()
    try:
        if nvml.nvmlInit_v2():
            return None
        try:
            count, text = ctypes.c_uint(), ctypes.create_string_buffer(96)
            if nvml.nvmlSystemGetDriverVersion(text, 96):
                return None
            driver, names = text.value.decode(errors="replace"), []
            if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
                return None
            for index in range(count.value):
                device = ctypes.c_void_p()
                if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)):
                    return None
                if nvml.nvmlDeviceGetName(device, text, 96):
                    return None
                names.append(text.value.decode(errors="replace"))
        finally:
            nvml.nvmlShutdown()
    except AttributeError:  # a library without these functions
        return None
    return (*names, driver) if names else ()
