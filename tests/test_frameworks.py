"""Arrays go in and out bit by bit, derivatives follow the cotangent, and nothing leaks into the process."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import warnings

import ml_dtypes
import numpy as np
import pytest

from lossproof.errors import ImplementationError, Place, UsageError, shown
from lossproof.floats import DTYPES, FORMATS, numpy_dtype
from lossproof.frameworks import NAMES, Call, framework, jax_framework

INSTALLED = [name for name in NAMES if importlib.util.find_spec(name)]
DIFFERENTIATING = [name for name in INSTALLED if name != "numpy"]
MODES_OF = [
    (name, mode) for name in INSTALLED for mode in (("eager", "compiled") if name == "jax" else ("eager",))
]

needs_torch = pytest.mark.skipif("torch" not in INSTALLED, reason="PyTorch is not installed")
needs_jax = pytest.mark.skipif("jax" not in INSTALLED, reason="JAX is not installed")


def square(x, labels=None, **_):
    return x * x


def special(dtype: str) -> np.ndarray:
    form = FORMATS[dtype]
    values = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, form.largest, form.smallest_normal]
    return np.array([values], numpy_dtype(dtype))


def bits(array: np.ndarray) -> bytes:
    return array.tobytes()


def test_importing_lossproof_loads_no_framework():
    code = (
        "import sys, lossproof, lossproof.frameworks, lossproof.implementation; lossproof.implements\n"
        "heavy = {'torch', 'jax', 'flint', 'pydantic', 'hypothesis'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_importing_the_front_door_loads_not_even_numpy():
    code = "import sys, lossproof; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_an_unknown_framework_gets_the_nearest_name():
    with pytest.raises(UsageError, match="did you mean 'torch'"):
        framework("troch")


@pytest.mark.parametrize(("name", "mode"), MODES_OF)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_bit_of_a_value_comes_back(name, mode, dtype):
    x = special(dtype)
    outcome = framework(name).value(Call(lambda a: a, (x,), {}, "cpu", mode))
    assert outcome.dtype == dtype
    assert outcome.value.dtype == numpy_dtype(dtype)
    finite = ~np.isnan(x.astype(np.float64))
    assert bits(outcome.value[finite]) == bits(x[finite])
    assert np.isnan(outcome.value.astype(np.float64))[~finite].all()


@pytest.mark.parametrize("name", INSTALLED)
def test_zero_dimensional_and_empty_arrays_pass(name):
    for x in (
        np.array(2.0, ml_dtypes.bfloat16),
        np.zeros((0, 3), ml_dtypes.bfloat16),
        np.zeros((0,), np.float32),
    ):
        outcome = framework(name).value(Call(square, (x,)))
        assert outcome.value.shape == x.shape


@pytest.mark.parametrize("name", INSTALLED)
def test_labels_and_masks_come_back_as_they_were_given(name):
    labels, mask = np.array([0, 3]), np.array([True, False])
    outcome = framework(name).value(Call(lambda x, y, m: x, (np.ones(2, np.float32), labels, mask)))
    assert outcome.inputs[1].dtype == np.int64
    assert outcome.inputs[2].dtype == np.bool_
    np.testing.assert_array_equal(outcome.inputs[1], labels)


@pytest.mark.parametrize("name", INSTALLED)
def test_labels_beyond_int32_keep_their_value(name):
    labels = np.array([2**40 + 1])
    outcome = framework(name).value(Call(lambda y: y - 2**40, (labels,)))
    assert outcome.value.tolist() == [1]


@pytest.mark.parametrize("name", [n for n in ("numpy", "torch") if n in INSTALLED])
def test_writing_into_an_input_shows_in_the_outcome_and_not_in_the_case(name):
    def impure(x):
        x -= 1
        return x * 2

    x = np.array([1.0, 2.0], np.float32)
    outcome = framework(name).value(Call(impure, (x,)))
    assert outcome.inputs[0].tolist() == [0.0, 1.0]
    assert x.tolist() == [1.0, 2.0]
    if name == "torch":
        outcome = framework(name).vjp(Call(impure, (x,)), np.ones(2, np.float32), (0,))
        assert outcome.gradients[0].tolist() == [2.0, 2.0]


@pytest.mark.parametrize("name", DIFFERENTIATING)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_is_multiplied_by_the_cotangent(name, dtype):
    x = np.array([1.0, 2.0, 3.0], numpy_dtype(dtype))
    cotangent = np.array([4.0, -1.0, 0.0], numpy_dtype(dtype))
    for mode in ("eager", "compiled") if name == "jax" else ("eager",):
        outcome = framework(name).vjp(Call(square, (x,), {}, "cpu", mode), cotangent, (0,))
        assert outcome.gradients[0].dtype == numpy_dtype(dtype)
        assert outcome.gradients[0].tolist() == [8.0, -4.0, 0.0]
        assert outcome.value.tolist() == [1.0, 4.0, 9.0]


@pytest.mark.parametrize("name", DIFFERENTIATING)
def test_an_input_without_influence_has_zero_gradient(name):
    x, y = np.ones(2, np.float32), np.ones((3, 2), np.float32)
    outcome = framework(name).vjp(Call(lambda a, b: a * 2, (x, y)), np.ones(2, np.float32), (0, 1))
    assert outcome.gradients[1].shape == (3, 2)
    assert not outcome.gradients[1].any()


@pytest.mark.parametrize("name", DIFFERENTIATING)
def test_a_result_of_another_shape_than_the_cotangent_is_an_error_of_the_implementation(name):
    with pytest.raises(ImplementationError, match=r"shape \(1, 2\), and its cotangent \(2,\)"):
        framework(name).vjp(Call(lambda a: a[None], (np.ones(2, np.float32),)), np.ones(2, np.float32), (0,))


@pytest.mark.parametrize("name", DIFFERENTIATING)
def test_a_loss_without_differentiable_inputs_has_no_gradients(name):
    outcome = framework(name).vjp(Call(square, (np.ones(2, np.float32),)), np.ones(2, np.float32), ())
    assert outcome.gradients == ()


@needs_torch
def test_a_detached_torch_result_has_no_gradient():
    for detached in (lambda x: x.detach(), lambda x: x.sum().item(), lambda x: x.detach().numpy() * 2):
        with pytest.raises(ImplementationError, match="no gradient: it was detached"):
            framework("torch").vjp(Call(detached, (np.ones((), np.float32),)), np.ones((), np.float32), (0,))


@needs_torch
def test_torch_gradients_exist_inside_no_grad_and_inference_mode():
    import torch

    call = Call(square, (np.ones(1, np.float32),))
    with torch.no_grad():
        assert framework("torch").vjp(call, np.ones(1, np.float32), (0,)).gradients[0].tolist() == [2.0]
    with torch.inference_mode():
        assert framework("torch").vjp(call, np.ones(1, np.float32), (0,)).gradients[0].tolist() == [2.0]
        assert torch.is_inference_mode_enabled()


@needs_jax
@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_jax_forward_mode_follows_the_tangent_and_leaves_labels_alone(mode):
    x, labels = np.array([1.0, 3.0], np.float32), np.array([0, 1])
    tangent = np.array([1.0, -2.0], np.float32)
    derivative = framework("jax").jvp(Call(square, (x, labels), {}, "cpu", mode), {0: tangent})
    assert derivative.dtype == np.float32
    assert derivative.tolist() == [2.0, -12.0]


@pytest.mark.parametrize(("name", "mode"), MODES_OF)
def test_what_is_no_array_is_an_error_of_the_implementation(name, mode):
    for result, text in (("x", "a str"), (None, "None"), ([1.0], "a list"), ((1.0, 2.0), "a tuple")):
        with pytest.raises(ImplementationError, match=f"returned {text}, not an array"):
            framework(name).value(Call(lambda x, result=result: result, (np.ones(2),), {}, "cpu", mode))


@pytest.mark.parametrize("name", INSTALLED)
def test_a_number_counts_as_an_array(name):
    for number in (1.5, np.float32(1.5)):
        outcome = framework(name).value(Call(lambda x, number=number: number, (np.ones(2, np.float32),)))
        assert outcome.value.shape == ()
        assert float(outcome.value) == 1.5


@pytest.mark.parametrize(("name", "mode"), MODES_OF)
def test_an_exception_of_the_implementation_comes_out_on_one_line_with_its_place(name, mode):
    def f(x):
        raise ValueError("two\n   lines")

    with pytest.raises(ImplementationError) as caught:
        framework(name).value(Call(f, (np.ones(2),), {}, "cpu", mode))
    assert caught.value.message == "ValueError: two lines"
    where = Place(shown(__file__), f.__code__.co_firstlineno + 1)
    assert str(caught.value) == f"{where}: ValueError: two lines"
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(
        ImplementationError, match=r"TypeError: .*f\(\) got an unexpected keyword argument 'z'"
    ):
        framework(name).value(Call(f, (np.ones(2),), {"z": 1}, "cpu", mode))


def test_the_place_of_an_exception_is_the_users_innermost_line():
    def inner(x):
        return np.linalg.inv(x)

    for function, line in ((inner, inner.__code__.co_firstlineno + 1), (np.linalg.inv, None)):
        with pytest.raises(ImplementationError, match="LinAlgError") as caught:
            framework("numpy").value(
                Call(lambda x, f=function: f(x), (np.zeros((2, 2)),), {}, "cpu", "eager")
            )
        own = caught.value.place
        assert own.file == shown(__file__)
        assert line is None or own.line == line
    with pytest.raises(ImplementationError, match="LinAlgError") as caught:
        framework("numpy").value(Call(np.linalg.inv, (np.zeros((2, 2)),), {}, "cpu", "eager"))
    assert caught.value.place is None


@pytest.mark.parametrize(("name", "mode"), MODES_OF)
def test_array_parameters_arrive_as_native_arrays(name, mode):
    weight = np.array([1.0, 4.0], np.float32)
    call = Call(
        lambda x, *, w, k: (x * w).sum() + k, (np.ones(2, np.float32),), {"w": weight, "k": 1}, "cpu", mode
    )
    outcome = framework(name).value(call)
    assert outcome.dtype == "float32"
    assert float(outcome.value) == 6.0


@pytest.mark.parametrize("name", INSTALLED)
def test_a_handwritten_gradient_may_return_several_arrays(name):
    call = Call(lambda x, y: (x * 2, y * 3), (np.ones(1, np.float32), np.ones(2, np.float32)))
    assert [part.tolist() for part in framework(name).arrays(call)] == [[2.0], [3.0, 3.0]]


@needs_jax
def test_jax_compiles_once_for_each_value_of_a_parameter():
    traced = []

    def f(x, *, k):
        traced.append(k)
        return x * k

    for k in (2, 2, 2.0, True, 2):
        framework("jax").value(Call(f, (np.ones(3, np.float32),), {"k": k}, "cpu", "compiled"))
    assert traced == [2, 2.0, True]


@needs_jax
@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_jax_compiles_with_few_optimisations_inside_a_block_and_as_ever_outside(mode):
    import jax

    engine, setting = framework("jax"), "jax_disable_most_optimizations"
    before = jax.config.values[setting]
    x = np.linspace(-3, 3, 10, dtype=np.float32)

    def function(x):
        seen.append(jax.config.values[setting])
        return jax.nn.softplus(x)

    def value():
        return engine.value(Call(function, (x,), {}, "cpu", mode)).value

    seen: list[bool] = []
    expected = value()
    with engine.lightly_optimised():
        np.testing.assert_allclose(value(), expected, rtol=1e-6)
        with engine.lightly_optimised():
            pass
        value()
    value()
    with pytest.raises(ZeroDivisionError), engine.lightly_optimised():
        raise ZeroDivisionError
    assert jax.config.values[setting] is before
    # compiled anew for the block, and not for what comes after it
    inside = [True, True] if mode == "eager" else [True]
    assert seen == [before, *inside, *([before] if mode == "eager" else [])]


def test_an_option_that_xla_does_not_take_is_left_out(monkeypatch):
    engine = jax_framework.JaxFramework()
    monkeypatch.setattr(
        jax_framework, "_LIGHT", {"xla_no_such_option": True, "xla_llvm_disable_expensive_passes": True}
    )
    with engine.lightly_optimised():
        got = engine.value(Call(lambda x: x + 1, (np.ones(2, np.float32),), {}, "cpu", "compiled"))
        assert engine._taken == {"xla_llvm_disable_expensive_passes": True}
    assert got.value.tolist() == [2.0, 2.0]


def test_jit_failures_name_the_step_and_the_mode_without_it():
    call = Call(lambda x: x if x.sum() > 0 else -x, (np.ones(3, np.float32),), {}, "cpu", "compiled")
    told = r"jax\.jit failed \(--mode eager does without\): TracerBoolConversionError"
    with pytest.raises(ImplementationError, match=told):
        framework("jax").value(call)


@needs_jax
def test_jax_64_bit_types_do_not_leak_and_are_off_for_float32():
    import jax
    import jax.numpy as jnp

    assert framework("jax").value(Call(square, (np.ones(2),))).dtype == "float64"
    assert jnp.asarray(np.ones(2)).dtype == jnp.float32
    assert not jax.config.jax_enable_x64
    # The idiom of right code, which 64-bit types would turn into float64.
    call = Call(lambda x: x * jax.nn.one_hot(jnp.arange(2), 2), (np.ones((2, 2), np.float32),))
    assert framework("jax").value(call).dtype == "float32"


@needs_jax
def test_jax_64_bit_types_stay_on_where_the_process_has_them_on():
    code = (
        "import jax, numpy as np; jax.config.update('jax_enable_x64', True)\n"
        "from lossproof.frameworks import Call, framework\n"
        "call = Call(lambda x: x.astype('float64').sum(), (np.ones(2, np.float32),))\n"
        "assert framework('jax').value(call).dtype == 'float64'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_numpy_warnings_are_not_shown_and_settings_stay():
    before = np.geterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outcome = framework("numpy").value(Call(lambda x: np.log(x) - np.log(x), (np.zeros(2),)))
        framework("numpy").value(Call(lambda x: np.mean(x[:0]), (np.zeros(2),)))
    assert np.isnan(outcome.value).all()
    assert np.geterr() == before


def test_missing_devices_modes_and_dtypes_give_their_reason():
    numpy = framework("numpy")
    assert numpy.missing() is None
    assert numpy.missing_device("cpu") is None
    assert numpy.missing_mode("eager") is None
    assert numpy.missing_device("cuda") == "NumPy runs on the CPU only"
    assert numpy.missing_mode("compiled") == "NumPy has no compiled mode"
    for name in INSTALLED:
        assert framework(name).missing_dtype("bfloat16", "cpu") is None
        assert "did you mean 'float32'" in framework(name).missing_dtype("flot32", "cpu")
        assert "did you mean 'cuda'" in framework(name).missing_device("cuda0")
        assert "did you mean 'compiled'" in framework(name).missing_mode("compile")


def test_a_call_for_a_missing_device_never_runs_elsewhere():
    for name in INSTALLED:
        if framework(name).missing_device("cuda"):
            with pytest.raises(UsageError, match=r"CUDA|CPU"):
                framework(name).value(Call(square, (np.ones(2),), {}, "cuda"))


@needs_torch
def test_a_missing_compiler_is_the_reason_for_skipping_the_compiled_mode(monkeypatch):
    from lossproof.frameworks.torch_framework import TorchFramework

    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "there is no 'no-such-compiler'" in TorchFramework().missing_mode("compiled")


def test_a_framework_that_is_not_installed_says_so(monkeypatch):
    from lossproof.frameworks.jax_framework import JaxFramework
    from lossproof.frameworks.torch_framework import TorchFramework

    for each, module in ((TorchFramework(), "torch"), (JaxFramework(), "jax")):
        monkeypatch.setitem(sys.modules, module, None)
        assert "PyTorch" in each.missing() or "JAX" in each.missing()
        assert each.missing_device("cpu") == each.missing_mode("eager") == each.missing()


def test_flushing_of_subnormals_is_probed():
    assert not framework("numpy").flushes_subnormals("float32", "cpu")
    if "torch" in INSTALLED:
        assert not framework("torch").flushes_subnormals("float32", "cpu")
    if "jax" in INSTALLED:  # XLA on the CPU flushes
        assert framework("jax").flushes_subnormals("float32", "cpu")


@pytest.mark.slow
@needs_torch
def test_torch_compile_gives_values_and_gradients_and_names_its_own_failures():
    import torch

    frame = framework("torch")
    if reason := frame.missing_mode("compiled"):
        pytest.skip(reason)
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()

    def f(x, *, k, w):
        return (torch.logsumexp(x, -1) * k * w).sum()

    w = np.array(2.0, np.float32)
    for k in (0.5, 3.0):
        for rows in (2, 3, 5):
            x = np.zeros((rows, 2), np.float32)
            call = Call(f, (x,), {"k": k, "w": w}, "cpu", "compiled")
            outcome = frame.vjp(call, np.array(-4.0, np.float32), (0,))
            assert float(outcome.value) == pytest.approx(2 * k * rows * np.log(2))
            assert outcome.gradients[0].tolist() == [[-4 * k, -4 * k]] * rows
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (threads, dtype)
    assert not frame.flushes_subnormals("float32", "cpu")

    inductor = importlib.import_module("torch._inductor.config")
    failing = Call(lambda x: torch.sinh(x) * 1.25, (w,), {}, "cpu", "compiled")
    with (
        inductor.patch({"cpp.cxx": (None, "no-such-compiler"), "fx_graph_cache": False}),
        pytest.raises(ImplementationError, match=r"torch\.compile failed \("),
    ):
        frame.value(failing)
