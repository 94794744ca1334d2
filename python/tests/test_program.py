"""python -m minbert is the program; importing the package is quick and needs numpy alone."""
import subprocess
import sys

from conftest import run_program


def run(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_the_module_is_the_program():
    assert run("-m", "minbert", "version").stdout == run_program("version")
    failed = run("-m", "minbert", "no-such-verb")
    assert failed.returncode == 2 and "unknown verb" in failed.stderr


def test_an_import_loads_no_more_than_it_needs():
    code = "import sys, minbert; print(sorted({name.split('.')[0] for name in sys.modules} & {'numpy', 'sklearn', 'torch', 'IPython', 'pandas'}))"
    assert run("-c", code).stdout == "[]\n"


def test_version_and_names():
    code = "import minbert; print(minbert.__version__); print(*sorted(minbert.__all__))"
    version, names = run("-c", code).stdout.splitlines()
    assert "minbert " + version + "\n" == run_program("version") and "Classifier" in names
