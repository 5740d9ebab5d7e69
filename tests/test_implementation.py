"""Declarations are light, every bad one is reported on its line, and the good ones are found all the same."""

from __future__ import annotations

import fnmatch
import functools
import importlib
import importlib.metadata
import sys
import textwrap
import types
from pathlib import Path

import numpy as np
import pytest

import lossproof.spec
from lossproof import implements
from lossproof.errors import AdapterError, UsageError, suggest
from lossproof.frameworks import framework
from lossproof.implementation import AdapterSkip, bind, bind_target, bundled, discover, importable
from lossproof.implementation import targets as targets_module
from lossproof.implementation.declare import declarations
from lossproof.spec import graph  # noqa: F401  (loaded before the library of these tests stands in for its own)
from lossproof.spec.model import Spec

SPECS = {
    each.loss: each
    for each in (
        Spec.model_validate(
            {
                "loss": "cross_entropy",
                "title": "t",
                "inputs": {
                    "logits": {"shape": ("N", "V"), "domain": "extended_real"},
                    "labels": {"shape": ("N",), "domain": "class_index"},
                },
                "parameters": {
                    "class_weight": {"shape": ("V",), "domain": "positive", "default": None},
                    "ignore_index": {"choices": (None, -100), "default": None},
                    "reduction": {"choices": ("none", "mean", "sum"), "default": "none"},
                    "epsilon": {"range": (0, 1), "default": 0.1},
                    "power": {"choices": (2, 1), "default": 2},
                },
                "definition": "0",
            }
        ),
        Spec.model_validate(
            {
                "loss": "logsumexp",
                "title": "t",
                "inputs": {"logits": {"shape": ("N", "V"), "domain": "real"}},
                "definition": "0",
            }
        ),
    )
}


@pytest.fixture(autouse=True)
def library(monkeypatch):
    """Two specs of our own, so that these tests say what they rest on."""

    def get(loss):
        if loss not in SPECS:
            raise UsageError(f"unknown loss '{loss}'{suggest(loss, SPECS)}")
        return SPECS[loss]

    fake = types.ModuleType("lossproof.spec.library")
    fake.get = get
    monkeypatch.setitem(sys.modules, "lossproof.spec.library", fake)
    monkeypatch.setattr(lossproof.spec, "library", fake, raising=False)


def put(path, text):
    Path(path).write_text("from lossproof import implements\n" + text, encoding="utf-8")


LSE = '@implements("logsumexp", framework="numpy")\ndef lse(logits): ...\n'


@pytest.fixture
def adapter(tmp_path, monkeypatch):
    """Writes losses.py in an empty working directory and discovers a target, that file unless given."""
    monkeypatch.chdir(tmp_path)

    def write(text, target="losses.py"):
        put("losses.py", textwrap.dedent(text))
        return discover(target)

    return write


def the_problem(found):
    _, problems = found
    assert len(problems) == 1, problems
    assert "\n" not in problems[0].message
    return f"{problems[0].where}: {problems[0].message}"


# ---- implements


def test_implements_returns_the_function_itself_and_keeps_every_declaration():
    def f(logits, labels):
        return logits

    declared = implements("cross_entropy", framework="torch", reduction="mean")(
        implements("nll", framework="jax")(f)
    )
    assert declared is f
    assert [(each.loss, each.framework, dict(each.fixed)) for each in declarations(f)] == [
        ("nll", "jax", {}),
        ("cross_entropy", "torch", {"reduction": "mean"}),
    ]


def test_what_takes_no_attributes_can_be_declared_too():
    assert implements("logsumexp", framework="numpy")(np.exp) is np.exp
    assert declarations(np.exp)[-1].loss == "logsumexp"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"framework": 3}, r"framework=…\) takes a name, not 3"),
        ({"framework": "torch", "dtypes": [1]}, r"dtypes=…\) takes a list of names, not \[1\]"),
        ({"framework": "torch", "dtypes": []}, "takes a list of names"),
        ({"framework": "torch", "devices": 1}, r"devices=…\) takes a list of names, not 1"),
        ({"framework": "torch", "gradient": "f"}, r"gradient=…\) takes a function, not 'f'"),
        ({"framework": "torch", "name": 1}, r"name=…\) takes a name, not 1"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused_at_once(arguments, message):
    with pytest.raises(TypeError, match=message):
        implements("cross_entropy", **arguments)


def test_a_decorator_without_its_arguments_says_how_it_is_written():
    with pytest.raises(TypeError, match="write @implements"):
        implements(lambda x: x, framework="torch")


# ---- discovery


def test_a_file_gives_its_implementations_in_their_order(adapter):
    found, problems = adapter(
        """
        @implements("logsumexp", framework="numpy", dtypes="float16", precision="tf32", name="l")
        def first(logits):
            return logits

        @implements("cross_entropy", framework="torch", devices="cpu", reduction="mean")
        @implements("cross_entropy", framework="jax")
        def second(logits, labels, *, epsilon=0.1, reduction="none"):
            return logits
        """
    )
    assert problems == []
    assert [(each.name, each.framework, each.line) for each in found] == [
        ("losses.l", "numpy", 3),
        ("losses.second", "torch", 7),
        ("losses.second", "jax", 8),
    ]
    assert (found[0].dtypes, found[0].precision) == (("float16",), "tf32")
    assert found[1].devices == ("cpu",)
    assert found[1].takes == {"epsilon", "reduction"}
    assert found[1].free == {"epsilon"}
    assert found[1].path == "losses.py"
    assert found[1].dtypes == ("float32", "float64")
    assert found[1].target == "losses.py:second"
    assert [each.name for each in discover(found[1].target)[0]] == ["losses.second"] * 2


def test_a_helper_that_declares_points_at_the_function(adapter):
    found, _ = adapter(
        """
        def everywhere(f):
            for framework in ("numpy", "torch", "jax"):
                implements("logsumexp", framework=framework)(f)
            return f

        @everywhere
        def lse(logits):
            return logits
        """
    )
    assert [(each.name, each.framework, each.line) for each in found] == [
        ("losses.lse", "numpy", 8),
        ("losses.lse", "torch", 8),
        ("losses.lse", "jax", 8),
    ]


def test_a_helper_from_another_file_declares_for_the_file_that_uses_it(adapter):
    put(
        "helper_of_losses.py",
        "def everywhere(f):\n    return implements('logsumexp', framework='numpy')(f)\n"
        "@everywhere\ndef own(logits): ...\n",
    )
    found, problems = adapter(
        """
        from helper_of_losses import everywhere, own

        @everywhere
        def lse(logits):
            return logits
        """
    )
    assert problems == []
    assert [(each.name, each.path, each.line) for each in found] == [("losses.lse", "losses.py", 5)]


def test_every_bad_declaration_is_reported_and_the_good_ones_are_returned(adapter):
    found, problems = adapter(
        """
        @implements("cross_entrpy", framework="torch")
        def a(logits, labels): ...

        @implements("logsumexp", framework="torhc", dtypes=["float23"], devices=["gpu"], precision="tf23")
        def b(logits): ...

        @implements("logsumexp", framework="numpy")
        def good(logits): ...
        """
    )
    assert [each.name for each in found] == ["losses.good"]
    assert [each.where for each in problems] == ["losses.py:3", *["losses.py:6"] * 4]
    text = "\n".join(each.message for each in problems)
    for word in ("cross_entropy", "torch", "float32", "cuda", "tf32"):
        assert f"did you mean '{word}'" in text


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("logits", "f takes 1 positional input (logits), but cross_entropy has 2: logits, labels"),
        (
            "logits, reduction='none'",
            "f takes 1 positional input (logits), but cross_entropy has 2: logits, labels",
        ),
        ("", "f takes 0 positional inputs, but cross_entropy has 2: logits, labels"),
        ("a, b, c", "f takes 3 positional inputs (a, b, c), but cross_entropy has 2: logits, labels"),
        ("a, b, powr", "f takes 3 *labels; did you mean 'power' by 'powr'?"),
        (
            "a, b, *, powr",
            "f needs the keyword 'powr', which is no parameter of cross_entropy; did you mean 'power'",
        ),
    ],
)
def test_a_function_that_does_not_fit_is_reported(adapter, signature, message):
    source = f'@implements("cross_entropy", framework="numpy")\ndef f({signature}): ...\n'
    assert fnmatch.fnmatchcase(the_problem(adapter(source)), f"losses.py:2: {message}*")


@pytest.mark.parametrize(
    ("signature", "takes"),
    [
        ("x, y", set()),
        ("x, y, dim=-1", set()),
        ("*inputs", set()),
        ("x, y, /, *, reduction='none', own=1", {"reduction"}),
        ("x, y, epsilon=0.1, power=2", {"epsilon", "power"}),
        ("x, y, epsilon", {"epsilon"}),
        ("x, y, **options", {"class_weight", "ignore_index", "reduction", "epsilon", "power"}),
    ],
)
def test_parameters_taken_by_keyword_are_found(adapter, signature, takes):
    found, problems = adapter(f'@implements("cross_entropy", framework="numpy")\ndef f({signature}): ...\n')
    assert problems == []
    assert found[0].takes == takes


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ("reduktion='mean'", "unknown parameter 'reduktion' of cross_entropy; did you mean 'reduction'?"),
        ("reduction='avg'", "reduction='avg': reduction of cross_entropy is one of 'none', 'mean', 'sum'"),
        ("reduction=None", "reduction=None: reduction of cross_entropy is one of 'none', 'mean', 'sum'"),
        ("power=True", "power=True: power of cross_entropy is one of 2, 1"),
        ("epsilon='x'", "epsilon='x': epsilon of cross_entropy is a number"),
        ("epsilon=None", "epsilon=None: epsilon of cross_entropy is a number"),
        ("class_weight=[1]", "class_weight=[1]: class_weight of cross_entropy is an array"),
    ],
)
def test_a_bad_fixed_parameter_is_reported(adapter, fixed, message):
    source = f'@implements("cross_entropy", framework="numpy", {fixed})\ndef f(x, y): ...\n'
    assert the_problem(adapter(source)).startswith(f"losses.py:2: {message}")


@pytest.mark.parametrize(
    ("definition", "value", "said"),
    [
        (
            "logsumexp(logits, V)",
            "mean",
            "has a value for each row (shape [N]), and has no reduction: declare the ",
        ),
        ("logsumexp(logits, V)", "sum", "the function that returns the rows, before its sum is taken"),
        ("logsumexp(logits, V)", "none", "has a value for each row (shape [N]): leave reduction out"),
        ("mean(logsumexp(logits, V))", "mean", "is one number for the whole batch: leave reduction out"),
    ],
)
def test_a_reduction_of_a_loss_that_has_none_is_told_what_to_do(
    adapter, monkeypatch, definition, value, said
):
    spec = SPECS["logsumexp"].model_copy(update={"loss": "of_rows" + value, "definition": definition})
    monkeypatch.setitem(SPECS, "logsumexp", spec)
    source = f'@implements("logsumexp", framework="numpy", reduction="{value}")\ndef f(x): ...\n'
    told = the_problem(adapter(source))
    assert told.startswith(f"losses.py:2: unknown parameter 'reduction' of {spec.loss}, which ")
    assert said in told


@pytest.mark.parametrize(
    ("signature", "fixed", "said"),
    [
        ("x, y, eps=0.2", "", "f has a keyword 'eps', which is no parameter of cross_entropy and stays 0.2"),
        ("x, y, eps=0.2", "", "; did you mean 'epsilon'? That is checked at its default alone, 0.1"),
        ("x, y, *, powr=1", "", "did you mean 'power'?"),
        ("x, y, weight=None", "", "did you mean 'class_weight'?"),
        ("x, y, ign=None", "", "did you mean 'ignore_index'?"),
        ("x, y, p=1", "", None),
        ("x, y, eps=0.2", ", epsilon=0.2", None),
        ("x, y, eps=1e-8, epsilon=0.1", "", None),
        ("x, y, dim=-1, keepdims=False, *, out=None", "", None),
        ("x, y, eps=0.2, **more", "", None),
    ],
)  # fmt: skip
def test_a_keyword_that_is_nearly_a_parameter_is_remarked_on(adapter, signature, fixed, said):
    found, problems = adapter(
        f'@implements("cross_entropy", framework="numpy"{fixed})\ndef f({signature}): ...\n'
    )
    assert problems == []
    assert [said in each for each in found[0].remarks] == ([] if said is None else [True])
    assert all(each.startswith("losses.py:2: f has a keyword") for each in found[0].remarked)


@pytest.mark.parametrize(
    ("default", "said"),
    [
        ("Bad()", "stays <Bad>;"),
        ("[[1, 2]] * 99", "[[1, 2], [1, 2], [1, 2], [1, 2], [1, 2]…;"),
        ("Lines()", "stays a b;"),
    ],
)
def test_a_default_of_any_kind_is_told_in_a_short_line(adapter, default, said):
    found, _ = adapter(f"""
        class Bad:
            def __repr__(self): raise ValueError
        class Lines:
            def __repr__(self): return "a\\n   b"
        @implements("cross_entropy", framework="numpy")
        def f(x, y, eps={default}): ...
        """)
    (told,) = found[0].remarks
    assert said in told
    assert "\n" not in told


def test_a_reduction_that_stays_is_remarked_on_where_the_loss_has_none(adapter, monkeypatch):
    spec = SPECS["logsumexp"].model_copy(
        update={"loss": "of_rows_alone", "definition": "logsumexp(logits, V)"}
    )
    monkeypatch.setitem(SPECS, "logsumexp", spec)
    text = """
        import functools
        declare = implements("logsumexp", framework="numpy")
        @declare
        def f(logits, reduction="mean"): ...
        @declare
        def g(logits, reduction="none"): ...
        rows = declare(functools.partial(f, reduction="none"))
        """
    found, _ = adapter(text)
    assert len(found) == 3
    ((name, said),) = [(each.name, each.remarks[0]) for each in found if each.remarks]
    assert name == "losses.f"
    assert 'functools.partial(f, reduction="none")' in said


def test_fixed_values_take_the_form_of_the_spec(adapter):
    found, _ = adapter(
        '@implements("cross_entropy", framework="numpy", power=2.0, class_weight=None)\ndef f(x, y): ...\n'
    )
    assert found[0].fixed == {"power": 2, "class_weight": None}
    assert isinstance(found[0].fixed["power"], int)


def test_the_same_name_twice_for_one_loss_is_reported(adapter):
    found, problems = adapter(
        """
        @implements("cross_entropy", framework="numpy", reduction="mean")
        @implements("cross_entropy", framework="numpy", reduction="sum")
        def f(x, y): ...
        """
    )
    assert len(found) == 1
    assert "declared twice" in problems[0].message


SECOND = """
@implements("logsumexp", framework="numpy")
def f(logits): return 1

{}
def f(logits): return 2
"""


@pytest.mark.parametrize(
    "second",
    [
        '@implements("logsumexp", framework="numpy")',
        '@implements("logsumexp", framework="torch")',
        '@implements("nll", framework="numpy", name="other")',
        'declare = implements("logsumexp", framework="numpy")\n@declare',
        '@implements("logsumexp", framework="numpy")\n@functools.lru_cache',
        "",
        "@functools.lru_cache",
        "if True:\n  pass",
    ],
)
def test_a_decorated_function_that_another_of_its_name_replaces_is_reported(adapter, second):
    text = "import functools\n" + SECOND.format(second)
    _, problems = adapter(text)
    said = [each for each in problems if "defined twice" in each.message]
    assert [each.where for each in said] == ["losses.py:4"]
    assert "losses.f is defined twice" in said[0].message
    assert "rename one" in said[0].message
    assert [each for each in adapter(text, "losses.py:f")[1] if "defined twice" in each.message] == said


@pytest.mark.parametrize(
    "after",
    [
        "f = functools.lru_cache(f)",
        "f = functools.partial(f)",
        "first = f\ndef f(logits): return first(logits)",
        "f = other(f)",
        "del f",
        "f = None",
        "def g(logits): return 2",
    ],
)
def test_a_decorated_function_that_is_wrapped_kept_or_taken_away_is_not_taken_for_replaced(adapter, after):
    text = "import functools\ndef other(g):\n  def f(logits): return g(logits)\n  return f\n"
    _, problems = adapter(text + SECOND.partition("\n\n")[0] + f"\n{after}\n")
    assert not [each for each in problems if "defined twice" in each.message]


def test_functions_of_one_name_made_in_a_loop_are_reported_unless_they_are_kept(adapter):
    text = """
        for reduction in ("mean", "sum"):
            @implements("cross_entropy", framework="numpy", reduction=reduction, name=reduction)
            def f(logits, labels): ...
        """
    assert "defined twice" in adapter(text)[1][0].message
    found, problems = adapter(text + "    globals()[reduction] = f\n")
    assert (sorted(each.name for each in found), problems) == (["losses.mean", "losses.sum"], [])


def test_a_function_declared_several_times_or_wrapped_is_not_taken_for_two(adapter):
    found, problems = adapter(
        """
        import functools

        @implements("logsumexp", framework="torch")
        @functools.lru_cache
        @implements("logsumexp", framework="numpy")
        def f(logits): ...
        """
    )
    assert (len(found), problems) == (2, [])


def test_a_module_reloaded_after_an_edit_or_imported_twice_has_each_function_once(adapter, monkeypatch):
    monkeypatch.syspath_prepend(".")
    text = '@implements("logsumexp", framework="numpy")\ndef f(logits): ...\n'
    put("losses_edited.py", text)
    importlib.import_module("losses_edited")
    put("losses_edited.py", "# an edit that moves all\n\n" + text)
    importlib.reload(sys.modules["losses_edited"])
    found, problems = discover("losses_edited")
    assert (len(found), problems) == (1, [])
    found, problems = discover("losses_edited.py")
    assert (len(found), problems) == (1, [])


def test_one_function_of_a_file(adapter):
    text = """
        @implements("logsumexp", framework="numpy")
        def f(logits): ...

        @implements("logsumexp", framework="numpy")
        def other(logits): ...

        def plain(logits): ...
        """
    assert [each.name for each in adapter(text, "losses.py:other")[0]] == ["losses.other"]
    assert "losses.py has no function 'othr'; did you mean 'other'" in the_problem(
        adapter(text, "losses.py:othr")
    )
    assert "--spec LOSS --framework F" in the_problem(adapter(text, "losses.py:plain"))


def test_a_file_without_declarations_says_what_to_do(adapter):
    assert "--spec LOSS --framework F" in the_problem(adapter("def f(x): ..."))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_module", "losses.py:2: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def f(:", "losses.py:2: SyntaxError: invalid syntax"),
        ("x = 1\nraise SystemExit(2)", "losses.py:3: SystemExit: 2"),
        ("def g():\n    return 1 / 0\ng()", "losses.py:3: ZeroDivisionError: division by zero"),
        (
            "@implements('logsumexp')\ndef f(x): ...",
            "losses.py:2: TypeError: implements() missing 1 required",
        ),
        (
            "@implements('logsumexp', framework=1)\ndef f(x): ...",
            "losses.py:2: TypeError: implements(framework=…)",
        ),
    ],
)
def test_an_adapter_that_does_not_import_is_one_line_with_its_place(adapter, text, message):
    assert the_problem(adapter(text)).startswith(message)


def test_targets_that_do_not_exist_are_problems_with_the_nearest_word(adapter):
    assert the_problem(adapter("", "loses.py")) == (
        "loses.py: no file 'loses.py'; did you mean 'losses.py'? (known: losses.py)"
    )
    assert (
        the_problem(adapter("", "elsewhere/losses.py"))
        == "elsewhere/losses.py: no file 'elsewhere/losses.py'"
    )
    assert "did you mean 'textbook'" in the_problem(adapter("", "textbok"))
    assert "is no file, module or adapter" in the_problem(adapter("", "no such thing"))
    assert "is a directory" in the_problem(adapter("", "./"))


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("kl", "kl_divergence"),
        ("cross_entropi", "cross_entropy"),
        ("label", "label_smoothing"),
        ("k", None),
        ("divergence", "kl_divergence"),
        ("zzz", None),
    ],
)
def test_the_nearest_word_may_be_one_that_was_cut_short(word, near):
    said = suggest(word, ["kl_divergence", "cross_entropy", "label_smoothing"])
    assert said.startswith(f"; did you mean '{near}'?" if near else " (known: cross")
    assert "(known: cross_entropy, kl_divergence, label_smoothing)" in said


@pytest.mark.parametrize("word", ["folder_of_losses", "folder_of_losses/", "./folder_of_losses"])
def test_a_directory_says_what_may_be_named_instead(adapter, word):
    Path("folder_of_losses").mkdir()
    folder = word.rstrip("/")
    said = the_problem(adapter("", word))
    assert f"'{word}' is a directory" in said
    assert "of which it has none" in said
    put("folder_of_losses/mine.py", LSE)
    said = the_problem(discover(word))
    assert f"name Python files in it ({folder}/mine.py) or a pattern, '{folder}/*.py'" in said
    assert "no function here" not in said


def test_a_package_that_takes_nothing_from_its_modules_says_what_may_be_named_instead(adapter):
    Path("package_of_nothing").mkdir()
    Path("package_of_nothing/__init__.py").touch()
    put("package_of_nothing/mine.py", LSE)
    said = the_problem(adapter("", "package_of_nothing"))
    assert "name a pattern of its files ('package_of_nothing/*.py') or a module of it" in said


def test_an_edited_file_is_read_again_and_an_unchanged_one_is_not(adapter):
    text = '@implements("logsumexp", framework="numpy")\ndef f(logits): return 1\n'
    first = adapter(text)[0][0].function
    assert discover("losses.py")[0][0].function is first
    assert adapter(text.replace("return 1", "return 2"))[0][0].function(0) == 2


def test_files_of_one_name_and_their_siblings_do_not_meet(tmp_path):
    before = list(sys.path)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "sibling_of_losses.py").write_text(f"WHERE = '{folder}'\n", encoding="utf-8")
        put(
            tmp_path / folder / "losses.py",
            "from sibling_of_losses import WHERE\n" + LSE.replace("...", "return WHERE"),
        )
    found = [discover(str(tmp_path / folder / "losses.py"))[0][0] for folder in ("one", "two")]
    assert [each.function(0) for each in found] == ["one", "two"]
    assert sys.path == before


def test_a_file_in_a_package_is_imported_as_a_module_of_it(tmp_path):
    before = list(sys.path)
    for folder, where in (("one", "src/one_or_two"), ("two", "one_or_two")):
        inner = tmp_path / folder / where / "inner"
        inner.mkdir(parents=True)
        (inner / "__init__.py").touch()
        (inner.parent / "__init__.py").write_text("from .inner.losses import lse\n", encoding="utf-8")
        (inner.parent / "util.py").write_text(f"WHERE = '{folder}'\n", encoding="utf-8")
        put(inner / "losses.py", "from ..util import WHERE\n" + LSE.replace("...", "return WHERE"))
    files = [
        str(tmp_path / where / "inner" / "losses.py") for where in ("one/src/one_or_two", "two/one_or_two")
    ]
    found = [discover(file) for file in files]
    assert [problems for _, problems in found] == [[], []]
    assert [each[0].function(0) for each, _ in found] == ["one", "two"]
    assert [(each[0].name, each[0].target) for each, _ in found] == [
        ("losses.lse", f"{file}:lse") for file in files
    ]
    assert sys.path == before
    put(files[1], LSE.replace("...", "return 3"))
    assert discover(files[1])[0][0].function(0) == 3
    init = str(tmp_path / "two" / "one_or_two" / "__init__.py")
    assert "no function here has @implements" in the_problem(discover(init))


def test_a_package_that_does_not_import_is_one_line_with_its_place(adapter):
    Path("broken_losses").mkdir()
    Path("broken_losses/__init__.py").write_text("\nraise ValueError('no')\n", encoding="utf-8")
    put("broken_losses/losses.py", LSE)
    assert the_problem(discover("broken_losses/losses.py")) == "broken_losses/__init__.py:2: ValueError: no"


def test_what_lies_beside_a_file_can_be_imported_when_its_functions_are_called(tmp_path):
    found = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "imported_late.py").write_text(f"WHERE = '{folder}'\n", encoding="utf-8")
        body = "\n    from imported_late import WHERE\n    return WHERE"
        put(tmp_path / folder / "losses.py", LSE.replace(" ...", body))
        found.append(discover(str(tmp_path / folder / "losses.py"))[0][0])
    before = list(sys.path)
    for each, where in zip((*found, *found), ("one", "two", "one", "two"), strict=True):
        with importable(each.target):
            assert each.function(0) == where
    assert sys.path == before


def test_declarations_of_an_imported_module_are_not_its_importers(adapter):
    put("base_losses.py", LSE)
    found, _ = adapter(f"from base_losses import lse\n{LSE.replace('lse', 'f')}")
    assert [each.name for each in found] == ["losses.f"]


def test_a_module_and_a_package_that_re_exports_are_found(adapter, monkeypatch):
    Path("package_of_losses").mkdir()
    put("package_of_losses/inner.py", LSE)
    put("package_of_losses/__init__.py", "from package_of_losses.inner import lse\n")
    assert [each.name for each in discover("package_of_losses")[0]] == ["package_of_losses.lse"]
    found, _ = discover("package_of_losses.inner:lse")
    assert (found[0].name, found[0].target) == ("inner.lse", "package_of_losses.inner:lse")
    assert found[0].path == str(Path("package_of_losses/inner.py"))


def test_bundled_adapters_are_listed_without_importing_them():
    assert {"portable", "textbook"} <= set(bundled())
    assert "textbook" not in bundled(demonstrations=False)
    assert "portable" in bundled(demonstrations=False)


@pytest.fixture
def no_torch(monkeypatch):
    framework.cache_clear()
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "lossproof.builtin.adapters.torch_functional", raising=False)
    yield
    framework.cache_clear()


def test_a_bundled_adapter_without_its_library_is_a_skip_with_the_reason(no_torch):
    found, problems = discover("torch_functional")
    assert found == []
    reason = "PyTorch is not installed"
    assert problems == [
        AdapterSkip("torch_functional", reason, adapter="torch_functional", framework="torch")
    ]


def test_an_adapter_of_an_installed_library_is_found_by_its_name(tmp_path, monkeypatch):
    put(tmp_path / "library_of_losses.py", LSE)
    monkeypatch.syspath_prepend(str(tmp_path))
    point = importlib.metadata.EntryPoint("mylib", "library_of_losses", targets_module.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    found, problems = discover("mylib")
    assert problems == []
    assert (found[0].name, found[0].target) == ("mylib.lse", "mylib:lse")


def test_a_registered_adapter_whose_module_is_gone_says_which_module(monkeypatch):
    point = importlib.metadata.EntryPoint("mylib", "package_gone.losses", targets_module.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    found, problems = discover("mylib")
    assert found == []
    message = (
        "the installed adapter 'mylib' is registered as package_gone.losses, "
        "and there is no module package_gone"
    )
    assert [(problem.where, problem.message) for problem in problems] == [("mylib", message)]


# ---- binding


def cross_entropy(logits, labels, *, reduction="none"):
    return logits


def test_bind_takes_a_function_that_is_not_decorated_and_leaves_it_so():
    made = bind(cross_entropy, "cross_entropy", "numpy", epsilon=0.2, dtypes=["float64"])
    assert (made.name, made.takes, made.fixed) == (
        "test_implementation.cross_entropy",
        {"reduction"},
        {"epsilon": 0.2},
    )
    assert made.dtypes == ("float64",)
    assert made.target.endswith("test_implementation.py:cross_entropy")
    assert declarations(cross_entropy) == ()


def test_bind_raises_with_the_place_and_every_reason():
    with pytest.raises(
        AdapterError, match=r"test_implementation\.py:\d+: unknown framework 'troch'.*; unknown par"
    ):
        bind(cross_entropy, "cross_entropy", "troch", reductoin="mean")
    with pytest.raises(AdapterError, match="did you mean 'cross_entropy'"):
        bind(cross_entropy, "cros_entropy", "torch")


class Callable:
    def __call__(self, logits, labels, reduction="none"):
        return logits


class Module:
    """As torch.nn.Module: a call passes everything on to forward."""

    def __call__(self, *args, **kwargs):
        return self.forward(*args, **kwargs)

    def forward(self, logits, labels, epsilon=0.1):
        return logits


@pytest.mark.parametrize(
    ("function", "takes", "fixed"),
    [
        (np.logaddexp, frozenset(), {}),
        (max, frozenset(), {}),
        (Callable(), {"reduction"}, {}),
        (Module(), {"epsilon"}, {}),
        (functools.partial(cross_entropy, reduction="mean"), frozenset(), {"reduction": "mean"}),
        (lambda x, y: x, frozenset(), {}),
        (functools.wraps(cross_entropy)(lambda *a, **k: cross_entropy(*a, **k)), {"reduction"}, {}),
    ],
)
def test_callables_of_every_kind_can_be_bound(function, takes, fixed):
    made = bind(function, "cross_entropy", "numpy")
    assert made.takes == takes
    assert made.fixed == fixed


def test_what_cannot_be_found_again_has_no_target():
    def local(logits, labels): ...

    assert bind(local, "cross_entropy", "numpy").target == ""


def test_a_target_is_bound_without_a_decorator(adapter):
    adapter("def plain(logits, labels, reduction='none'): ...")
    made = bind_target("losses.py:plain", "cross_entropy", "torch", epsilon=0.5)
    assert (made.name, made.target, made.path, made.line) == (
        "losses.plain",
        "losses.py:plain",
        "losses.py",
        2,
    )
    with pytest.raises(UsageError, match="did you mean 'plain'"):
        bind_target("losses.py:plane", "cross_entropy", "torch")
    with pytest.raises(UsageError, match=r"names no function; write losses\.py:FUNCTION"):
        bind_target("losses.py", "cross_entropy", "torch")
    with pytest.raises(AdapterError, match=r"losses\.py:2: plain takes 2 positional inputs"):
        bind_target("losses.py:plain", "logsumexp", "torch")


def test_arguments_are_what_the_function_takes_with_the_fixed_ones_in_force():
    made = bind(cross_entropy, "cross_entropy", "numpy", reduction="mean", epsilon=0.2)
    assert made.arguments({"reduction": "sum", "epsilon": 0.5, "power": 1}) == {"reduction": "mean"}
