"""The example notebook runs, and shows a progress bar and charts."""
import pytest

from conftest import MINILM, ROOT


def test_the_notebook_shows_a_bar_and_charts(tmp_path, monkeypatch):
    nbformat, execute = pytest.importorskip("nbformat"), pytest.importorskip("nbconvert.preprocessors")
    for module in ("ipykernel", "matplotlib"):
        pytest.importorskip(module)
    if not MINILM.is_dir():
        pytest.skip(f"no {MINILM}")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "all-MiniLM-L6-v2").symlink_to(MINILM)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(ROOT / "examples" / "notebook" / "films.ipynb", as_version=4)
    execute.ExecutePreprocessor(timeout=300, kernel_name="python3").preprocess(notebook, {"metadata": {"path": str(tmp_path)}})
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    html = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
    assert '<progress value="8"' in html and "loss" in html
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert not any(output.output_type == "error" for output in outputs)
