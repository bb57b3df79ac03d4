"""The examples in the documentation run, and everything public has one or needs none."""

import doctest
import inspect
import os
from typing import Any

import otto
import pytest

OPTIONS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
README = os.path.join(os.path.dirname(__file__), "..", "README.md")


def documented() -> dict[str, Any]:
    found: dict[str, Any] = {"otto": otto}
    for name in otto.__all__:
        found[name] = member = getattr(otto, name)
        if inspect.isclass(member):
            for inner, value in vars(member).items():
                if not inner.startswith("_"):
                    found[f"{name}.{inner}"] = value
    return found


@pytest.mark.parametrize("name", documented())
def test_it_is_documented_and_its_examples_run(name: str) -> None:
    text = documented()[name].__doc__
    assert text
    assert text.strip()
    case = doctest.DocTestParser().get_doctest(text, {"__name__": "example"}, name, None, None)
    assert doctest.DocTestRunner(optionflags=OPTIONS).run(case).failed == 0


@pytest.mark.parametrize("name", [name for name in otto.__all__ if name.islower()])
def test_every_function_has_an_example(name: str) -> None:
    assert ">>>" in (getattr(otto, name).__doc__ or "")


def test_the_readmes_examples_run() -> None:
    with open(README) as readme:
        text = readme.read().replace("```", "")
    case = doctest.DocTestParser().get_doctest(text, {}, "README", README, 0)
    assert case.examples
    assert doctest.DocTestRunner(optionflags=OPTIONS).run(case).failed == 0
