#!/usr/bin/env python3
"""check_layout.py accepts a small tree without violations, and reports each planted violation with its line."""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import check_layout

WELL_KEPT = {
    "DESIGN.md": "# m\n\n| folder | what |\n|---|---|\n| `minbert/base/` | b |\n| `minbert/ops/` | o |\n| `minbert/data/` | d |\n| `minbert/cli/` | c |\n",
    "CMakeLists.txt": "find_package(fmt REQUIRED)  # find_package(Qt)\n",
    "tools/install_dependencies.sh": "#!/bin/sh\n# Installs packages.\nlibfmt-dev  # [fmt]\n",
    "minbert/base/a.h": "// A: a number.\n#pragma once\n#include <sys/mman.h>\n#include <vector>\n",
    "minbert/base/env.cpp": '// Env: the only getenv.\n#include <cstdlib>\nconst char* a = std::getenv("A");\nint b = nlohmann::json::parse("1");  // base may\n',
    "minbert/base/CMakeLists.txt": "minbert_room(base SOURCES env.cpp)\n",
    "minbert/ops/backends.cpp": '// Backends by name.\n#include "minbert/base/a.h"\n#include "minbert/ops/ref/ref.h"\n',
    "minbert/ops/ref/ref.h": "// Ref: plain loops.\n",
    "minbert/ops/cpu/cpu.cpp": "// Cpu: vectors.\n#include <dnnl.hpp>\n#ifdef X\n#endif\n",
    "minbert/data/rows.cpp": '// Rows: no printf( here, "nor exit(1) there".\n#include "minbert/base/a.h"\nint x = snprintf(b, 1, "printf(");\nvoid f() { g.exit(); }\n',
    "minbert/data/CMakeLists.txt": "minbert_room(data SOURCES rows.cpp LINKS minbert_base)\n",
    "minbert/cli/main.cpp": "// The program.\n#include <cstdio>\n#include \"minbert/data/rows.h\"\nint main() { printf(\"hi\"); }\n",
    "tests/base/a_test.cpp": '// A behaves.\n#include <gtest/gtest.h>\n#include "minbert/base/a.h"\n#include "tests/testing.h"\n',
    "tests/ops/x.cpp": "// X.\n",
    "tests/data/x.cpp": "// X.\n",
    "tests/cli/x.py": '#!/usr/bin/env python3\n"""X."""\n',
}

# ({path: text to append, or None to remove the file}, expected report with its place).
PLANTED = [
    ({"DESIGN.md": "\n<<<<<<< HEAD\n"}, "DESIGN.md:10: a merge's conflict"),
    ({"minbert/base/a.h": '#include "minbert/data/rows.h"\n'}, "minbert/base/a.h:5: base may not include data"),
    ({"minbert/data/rows.cpp": '#include "minbert/ops/backend.h"\n'}, "minbert/data/rows.cpp:5: data may not include ops"),
    ({"minbert/cli/main.cpp": '#include "minbert/pipeline.h"\n'}, "minbert/cli/main.cpp:5: minbert/pipeline.h is for programs"),
    ({"python/native/x.cpp": '// X.\n#include "minbert/base/a.h"\n'}, "python/native/x.cpp:2: minbert/base/a.h: Python is bound to"),
    ({"minbert/pipeline.h": '// The front.\n#include "minbert/base/a.h"\n'}, "minbert/pipeline.h:2: pipeline.h may not include base"),
    ({"minbert/cli/main.cpp": '#include "minbert/ops/cpu/cpu.h"\n'}, "minbert/cli/main.cpp:5: only ops/backends.cpp names the backend cpu"),
    ({"minbert/ops/ref/ref.h": '#include "minbert/ops/cpu/cpu.h"\n'}, "minbert/ops/ref/ref.h:2: only ops/backends.cpp names the backend cpu"),
    ({"minbert/data/rows.cpp": '#include "rows.h"\n'}, 'minbert/data/rows.cpp:5: "rows.h": headers are named from the root'),
    ({"minbert/data/rows.cpp": "\n#include <omp.h>\n"}, "minbert/data/rows.cpp:6: <omp.h> belongs to minbert/ops/cpu/gemm.cpp"),
    ({"minbert/ops/backends.cpp": "#include <dnnl.hpp>\n"}, "minbert/ops/backends.cpp:4: <dnnl.hpp> belongs to minbert/ops/cpu/"),
    ({"minbert/ops/backends.cpp": "#include <hwy/highway.h>\n"}, "minbert/ops/backends.cpp:4: <hwy/highway.h> belongs to"),
    ({"minbert/ops/backends.cpp": "#include <immintrin.h>\n"}, "minbert/ops/backends.cpp:4: <immintrin.h> belongs to"),
    ({"minbert/ops/backends.cpp": "#include <cuda_runtime.h>\n"}, "minbert/ops/backends.cpp:4: <cuda_runtime.h> belongs to"),
    ({"minbert/cli/main.cpp": "#include <httplib.h>\n"}, "minbert/cli/main.cpp:5: <httplib.h> belongs to"),
    ({"minbert/cli/main.cpp": "#include <curl/curl.h>\n"}, "minbert/cli/main.cpp:5: <curl/curl.h> belongs to"),
    ({"minbert/cli/main.cpp": "#include <mpi.h>\n"}, "minbert/cli/main.cpp:5: <mpi.h> belongs to"),
    ({"minbert/cli/main.cpp": "#include <toml++/toml.h>\n"}, "minbert/cli/main.cpp:5: <toml++/toml.h> belongs to"),
    ({"minbert/data/rows.cpp": "#include <CLI/CLI.hpp>\n"}, "minbert/data/rows.cpp:5: <CLI/CLI.hpp> belongs to minbert/cli/"),
    ({"minbert/data/rows.cpp": "#include <spdlog/spdlog.h>\n"}, "minbert/data/rows.cpp:5: <spdlog/spdlog.h> belongs to minbert/cli/"),
    ({"minbert/data/rows.cpp": "#include <absl/any.h>\n"}, "minbert/data/rows.cpp:5: <absl/any.h> has no room"),
    ({"minbert/data/rows.cpp": "int y = getenv(x);\n"}, "minbert/data/rows.cpp:5: getenv belongs to"),
    ({"minbert/data/rows.cpp": "Json a = Json::parse(x, nullptr, false);\n"}, "minbert/data/rows.cpp:5: Json::parse: parse_json"),
    ({"minbert/data/rows.cpp": "auto a = toml::parse_file(x);\n"}, "minbert/data/rows.cpp:5: toml::parse_file: parse_json"),
    ({"minbert/data/rows.cpp": "/* two\nlines */ void g() { std::cout << 1; }\n"}, "minbert/data/rows.cpp:6: std::cout: only cli prints"),
    ({"minbert/data/rows.cpp": "void g() { std::fprintf(stderr, x); }\n"}, "minbert/data/rows.cpp:5: std::fprintf: only cli prints"),
    ({"minbert/data/rows.cpp": "void g() { exit(1); }\n"}, "minbert/data/rows.cpp:5: exit: only cli prints and ends"),
    ({"minbert/data/rows.cpp": "#ifdef HAVE_X\n#endif\n"}, "minbert/data/rows.cpp:5: no conditional compilation"),
    ({"minbert/data/rows.cpp": "int z;\n" * 797}, "minbert/data/rows.cpp:801: 801 lines, at most 800"),
    ({"minbert/data/bare.cpp": "#include <vector>\n"}, "minbert/data/bare.cpp:1: open with one sentence"),
    ({"tests/cli/bare.py": "import os\n"}, "tests/cli/bare.py:1: open with one sentence"),
    ({"recipes/bare.toml": "[run]\n"}, "recipes/bare.toml:1: open with one sentence"),
    ({"minbert/data/utils.h": "// Utils.\n"}, "minbert/data/utils.h:1: a name that says nothing"),
    ({"CMakeLists.txt": "find_package(Qt REQUIRED)\n"}, "CMakeLists.txt:2: Qt is not in tools/install_dependencies.sh"),
    ({"CMakeLists.txt": "pkg_check_modules(QT QUIET IMPORTED_TARGET q-t)\n"}, "CMakeLists.txt:2: q-t is not in tools"),
    ({"tools/install_dependencies.sh": "libx-dev  # [X]\n"}, "tools/install_dependencies.sh:1: no CMakeLists.txt looks for X"),
    ({"minbert/data/CMakeLists.txt": "target_link_libraries(minbert_data minbert_ops_core)\n"}, "minbert/data/CMakeLists.txt:2: data may not link ops"),
    ({"minbert/attic/x.cpp": "// X.\n", "DESIGN.md": "| `minbert/attic/` | a |\n"}, "minbert/attic:1: a room without arrows"),
    ({"tests/attic/x.cpp": "// X.\n"}, "tests/attic:1: no minbert/attic"),
    ({"tests/data/x.cpp": None}, "minbert/data:1: no tests/data"),
    ({"minbert/hub/x.cpp": "// X.\n", "tests/hub/x.cpp": "// X.\n"}, "DESIGN.md:1: hub is in the tree, not in the list"),
    ({"DESIGN.md": "| `minbert/attic/` | h |\n"}, "DESIGN.md:1: attic is listed, not in the tree"),
]


def check(files):
    """(exit code, lines printed) of the checker on a tree of these files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = check_layout.main([folder])
        return code, out.getvalue().splitlines()


class CheckLayout(unittest.TestCase):
    def test_well_kept_tree_passes_and_is_counted(self):
        code, lines = check(WELL_KEPT)
        self.assertEqual((code, len(lines)), (0, 1), lines)
        self.assertRegex(lines[0], r"^37 lines: minbert 26, python 0, examples 0, tests 8, bench 0, tools 3$")

    def test_each_planted_violation_is_the_only_one_named(self):
        for planted, expected in PLANTED:
            files = dict(WELL_KEPT)
            for path, text in planted.items():
                if text is None:
                    del files[path]
                else:
                    files[path] = files.get(path, "") + text
            code, lines = check(files)
            with self.subTest(expected):
                self.assertEqual(code, 1)
                self.assertEqual(len(lines), 2, lines)
                self.assertTrue(lines[0].startswith(expected), lines[0])

    def test_generated_tables_may_be_long(self):
        code, lines = check(WELL_KEPT | {"minbert/data/t.cpp": "// Table of points. Generated by tools/make_t.py.\n" + "0,\n" * 900})
        self.assertEqual((code, len(lines)), (0, 1), lines)

    def test_list_of_folders_goes_from_left_to_right(self):
        design = "| `minbert/ops/` | o |\n| `minbert/base/` | b |\n| `minbert/data/` | d |\n| `minbert/cli/` | c |\n"
        code, lines = check(WELL_KEPT | {"DESIGN.md": design})
        self.assertEqual(code, 1)
        self.assertEqual(lines[0], "DESIGN.md:1: the list of folders goes downwards: base, ops, data, cli")


if __name__ == "__main__":
    unittest.main()
