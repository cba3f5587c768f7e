"""Every input of `tests.inputs` behaves as is promised for it; the count is printed at the end."""

from pathlib import Path

import pytest

from tests import inputs


@pytest.mark.slow
@pytest.mark.parametrize("name", inputs.CASES)
def test_an_input_behaves_as_promised(name: str, tmp_path: Path) -> None:
    lab = inputs.Lab(tmp_path)
    inputs.CASES[name](lab)
    lab.check()


def test_the_table_has_every_input_but_those_of_reports() -> None:
    rows = {int(name[1:3]) for name in inputs.CASES}
    assert rows == set(range(1, 62)) - {46, 58}
