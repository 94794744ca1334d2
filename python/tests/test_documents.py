"""The Python of README.md and docs/library.md runs as it stands there."""
import re

import pytest

from conftest import MINILM, ROOT


@pytest.mark.parametrize("document", ["README.md", "docs/library.md"])
def test_examples_run(document, tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    if not MINILM.is_dir():
        pytest.skip(f"no {MINILM}")
    if any("Classifier(" in block for block in blocks):
        pytest.importorskip("sklearn")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "all-MiniLM-L6-v2").symlink_to(MINILM)
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, document, "exec"), {})
    assert "good" in capsys.readouterr().out
