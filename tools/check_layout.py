#!/usr/bin/env python3
"""Checks the tree against DESIGN.md: arrows between rooms, foreign headers in one room each, sizes, comments, tests that mirror rooms.

Usage: check_layout.py [ROOT] [--total]. Prints one line for each violation and the number of lines of code. Ends with 1 if there is a
violation. With --total, prints only the number of lines.
"""
import pathlib
import re
import sys

# A room may include itself, the rooms named here, and all that those may include. DESIGN.md draws the same arrows.
ARROWS = {
    "base": [],
    "ops": ["base"],
    "tokenizer": ["base"],
    "data": ["base"],
    "model": ["ops"],
    "stats": ["base"],
    "pipeline": ["model", "tokenizer", "data", "stats"],
    "onnx": ["pipeline"],
    "train": ["pipeline"],
    "capi": ["train"],
    "study": ["train"],
    "report": ["stats", "data"],
    "serve": ["pipeline"],
    "hub": ["base"],
    "cli": ["study", "report", "serve", "hub", "onnx"],
}
# Headers beside the rooms: the front of the library, which includes what it installs. Rooms do not include it: it gives names of the
# interface to namespace minbert, where rooms have some of their own.
FRONTS = {"pipeline.h": ["pipeline", "train"]}
C_HEADER = "minbert/capi/minbert.h"  # compiles as C and as C++
BACKENDS = ["ref", "cpu", "cuda"]  # folders of ops that may not include each other; only ops/backends.cpp may include them

# Foreign headers, and prefixes of the paths that may include them. None: any path.
FOREIGN = [
    (r"fmt/|gtest/", None),
    (r"nanobind/", ["python/native/"]),
    (r"minbert", ["examples/"]),
    (r"nlohmann/", ["minbert/base/"]),
    (r"omp\.h", ["minbert/ops/cpu/gemm.cpp"]),
    (r"malloc\.h", ["minbert/base/system.cpp"]),
    (r"openssl/", ["minbert/base/hash.cpp"]),
    (r"toml\+\+/", ["minbert/base/toml.cpp"]),
    (r"dnnl\.hpp|hwy/|\w*intrin\.h|arm_neon\.h", ["minbert/ops/cpu/"]),
    (r"cuda|cublas|cudnn|nv", ["minbert/ops/cuda/"]),
    (r"mpi\.h", ["minbert/train/comm_mpi.cpp"]),
    (r"httplib\.h", ["tests/hub/"]),
    (r"boost/", ["minbert/serve/http.cpp"]),
    (r"onnx/|google/protobuf/", ["minbert/onnx/graph.cpp"]),
    (r"curl/", ["minbert/hub/"]),
    (r"CLI/|spdlog/", ["minbert/cli/", "bench/main.cpp"]),
    # Headers of POSIX and C belong to no library.
    (r"(sys|net|netinet|arpa)/\w+\.h|(unistd|fcntl|signal|stdlib|sched|poll|termios|netdb|pthread|dirent|execinfo|semaphore|stddef|stdint)\.h", None),
]

MAX_LINES = 800
CODE_FOLDERS = ["minbert", "python", "examples", "tests", "bench", "tools"]
TEST_FOLDERS = ["bench", "golden", "fuzz", "tools"]  # other folders of tests/ have the name of a room
PRINTING = r"std::(cout|cerr|clog)\b|\bfmt::print\b|(?<![\w.>])(?:std::)?(v?f?printf|f?puts|putchar|_?exit|quick_exit|abort)\s*\("
GETENV = r"\b(secure_)?getenv\b"
# Parsers without the limits of depth and size that base adds.
PARSER = r"\b(?:Json|SortedJson|nlohmann::\w+)::(?:parse|accept|sax_parse)\s*\(|\btoml::parse\w*\s*\("
COMMENT_OR_LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^()\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.DOTALL)


def reachable(room):
    """The rooms that `room` may include."""
    found = {room}
    for left in ARROWS[room]:
        found |= reachable(left)
    return found


def code_only(text):
    """The text without comments and literals; line numbers stay the same."""
    return COMMENT_OR_LITERAL.sub(lambda m: "\n" * m.group().count("\n"), text)


def numbered(pattern, text):
    """[(line number, match)] for every match."""
    return [(text.count("\n", 0, m.start()) + 1, m) for m in re.finditer(pattern, text, re.MULTILINE)]


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.texts = {}
        for folder in CODE_FOLDERS + ["recipes"]:
            for path in sorted((self.root / folder).rglob("*")):
                if path.suffix in {".h", ".cpp", ".cu", ".py", ".sh", ".toml", ".js", ".css", ".html"} or path.name == "CMakeLists.txt":
                    self.texts[path.relative_to(self.root).as_posix()] = path.read_text(encoding="utf-8")
        self.rooms = sorted(p.name for p in (self.root / "minbert").iterdir() if p.is_dir())
        self.violations = []

    def sources(self):
        return [(path, text) for path, text in self.texts.items() if path.endswith((".h", ".cpp", ".cu"))]

    def report(self, path, line, message):
        self.violations.append(f"{path}:{line}: {message}")

    def check_sizes_and_comments(self):
        opening = {"//": (".h", ".cpp", ".cu", ".js"), "#": (".sh", ".toml"), '"""': (".py",)}
        for path, text in self.texts.items():
            lines = text.splitlines()
            generated = any("enerated by tools/" in line for line in lines[:3])
            first = next((line for line in lines if not line.startswith("#!")), "")
            for mark, suffixes in opening.items():
                if path.endswith(suffixes) and not re.match(re.escape(mark) + r" ?\S", first):
                    self.report(path, 1, "open with one sentence that says what the file is for")
            if len(lines) > MAX_LINES and not generated:
                self.report(path, MAX_LINES + 1, f"{len(lines)} lines, at most {MAX_LINES}: two files in one?")
            if re.search(r"(^|/)(utils?|helpers?|misc)\.", path):
                self.report(path, 1, "a name that says nothing: name the file by what it holds")

    def check_conflicts(self):
        documents = [*self.root.glob("*.md"), *(self.root / "docs").rglob("*.md")]
        texts = {path.relative_to(self.root).as_posix(): path.read_text(encoding="utf-8") for path in documents} | self.texts
        for path, text in texts.items():
            for number, line in enumerate(text.splitlines(), 1):
                if re.match(r"(<{7}|>{7}) ", line):
                    self.report(path, number, "a merge's conflict is not resolved")

    def check_includes(self):
        for path, text in self.sources():
            room = path.split("/")[1] if path.startswith("minbert/") else None
            backend = path.split("/")[2] if path.startswith("minbert/ops/") else None
            for line, match in numbered(r'^[ \t]*#\s*include\s+"([^"]+)"', text):
                target = match[1].split("/")
                if target[0] != "minbert" and not (target[0] in ("tests", "bench", "python") and path.startswith(target[0] + "/")):
                    self.report(path, line, f'"{match[1]}": headers are named from the root of the project')
                if path.startswith("python/") and target[0] == "minbert" and target[1] not in FRONTS:
                    self.report(path, line, f"{match[1]}: Python is bound to the front of the library, {' and '.join(FRONTS)}")
                if room is None or target[0] != "minbert":
                    continue
                if target[1] in FRONTS:
                    self.report(path, line, f"{match[1]} is for programs: include what it includes")
                elif target[1] not in (FRONTS.get(room) or reachable(room)):
                    self.report(path, line, f"{room} may not include {target[1]}: arrows point from left to right (DESIGN.md)")
                if target[1] == "ops" and target[2] in BACKENDS and target[2] != backend and path != "minbert/ops/backends.cpp":
                    self.report(path, line, f"only ops/backends.cpp names the backend {target[2]}")
            for line, match in numbered(r"^[ \t]*#\s*include\s+<([^>]+)>", text):
                self.check_foreign_header(path, line, match[1])

    def check_foreign_header(self, path, line, header):
        if not re.search(r"[./]", header):
            return  # the standard library
        for pattern, places in FOREIGN:
            if re.match(pattern, header):
                if places is not None and not any(path.startswith(place) for place in places):
                    self.report(path, line, f"<{header}> belongs to {' and '.join(places)}")
                return
        self.report(path, line, f"<{header}> has no room: give it one in tools/check_layout.py")

    def check_quiet_library(self):
        for path, text in self.sources():
            if not path.startswith("minbert/"):
                continue
            code = code_only(text)
            if not path.startswith("minbert/cli/"):
                for line, match in numbered(PRINTING, code):
                    self.report(path, line, f"{match.group().rstrip('( ')}: only cli prints and ends the program")
            if path != "minbert/base/env.cpp":
                for line, _ in numbered(GETENV, code):
                    self.report(path, line, "getenv belongs to minbert/base/env.cpp")
            if not path.startswith("minbert/base/"):
                for line, match in numbered(PARSER, code):
                    self.report(path, line, f"{match.group().rstrip('( ')}: parse_json, parse_json_line and parse_toml have limits of depth and size")
            owns_a_library = any(re.match(p, h) and places for p, places in FOREIGN for h in re.findall(r"#\s*include\s+<([^>]+)>", text))
            if not path.startswith("minbert/ops/") and path != C_HEADER and not owns_a_library:
                for line, _ in numbered(r"^[ \t]*#\s*(if|ifdef|ifndef)\b", code):
                    self.report(path, line, "no conditional compilation outside a backend: another .cpp chosen at link time")

    def check_cmake(self):
        dependencies = self.texts.get("tools/install_dependencies.sh", "")
        known = set(re.findall(r"\[([\w-]+)\]", dependencies))
        used = set()
        for path in ["CMakeLists.txt"] + [p for p in self.texts if p.endswith("CMakeLists.txt")]:
            text = re.sub(r"#.*", "", (self.root / path).read_text(encoding="utf-8"))
            for line, match in numbered(r"find_package\((\w+)|pkg_check_modules\(.* ([\w-]+)\)", text):
                name = match[1] or match[2]
                used.add(name)
                if name not in known and name != "minbert":
                    self.report(path, line, f"{name} is not in tools/install_dependencies.sh")
            parts = path.split("/")
            if parts[0] == "minbert" and parts[1] in ARROWS:
                for line, match in numbered(r"\bminbert_(\w+)", text):
                    room = match[1].split("_")[0]
                    if room in ARROWS and room not in reachable(parts[1]):
                        self.report(path, line, f"{parts[1]} may not link {room}: arrows point from left to right (DESIGN.md)")
        for name in sorted(known - used):
            self.report("tools/install_dependencies.sh", 1, f"no CMakeLists.txt looks for {name}")

    def check_folders(self):
        for room in self.rooms:
            if room not in ARROWS:
                self.report(f"minbert/{room}", 1, "a room without arrows: draw them in DESIGN.md and tools/check_layout.py")
            elif any(p.startswith(f"minbert/{room}/") and p.endswith(".cpp") for p in self.texts) and not (self.root / "tests" / room).is_dir():
                self.report(f"minbert/{room}", 1, f"no tests/{room}: tests mirror the rooms")
        for folder in sorted(p.name for p in (self.root / "tests").iterdir() if p.is_dir() and p.name != "__pycache__"):
            if folder not in self.rooms + TEST_FOLDERS:
                self.report(f"tests/{folder}", 1, f"no minbert/{folder}: tests mirror the rooms")
        design = (self.root / "DESIGN.md").read_text(encoding="utf-8")
        listed = re.findall(r"^\| `minbert/(\w+)/` \|", design, re.MULTILINE)
        for room in sorted(set(self.rooms) ^ set(listed)):
            self.report("DESIGN.md", 1, f"{room} is {'in the tree, not in the list of folders' if room in self.rooms else 'listed, not in the tree'}")
        order = [room for room in ARROWS if room in listed]
        if [room for room in listed if room in ARROWS] != order:
            self.report("DESIGN.md", 1, f"the list of folders goes downwards: {', '.join(order)}")

    def check(self):
        self.check_sizes_and_comments()
        self.check_conflicts()
        self.check_includes()
        self.check_quiet_library()
        self.check_cmake()
        self.check_folders()
        return self.violations

    def totals(self):
        counts = {folder: sum(len(t.splitlines()) for p, t in self.texts.items() if p.startswith(folder + "/")) for folder in CODE_FOLDERS}
        return f"{sum(counts.values())} lines: " + ", ".join(f"{folder} {count}" for folder, count in counts.items())


def main(arguments):
    roots = [a for a in arguments if not a.startswith("--")]
    tree = Tree(roots[0] if roots else pathlib.Path(__file__).parent.parent)
    if "--total" in arguments:
        print(tree.totals(), end="\n\n")  # ctest removes one newline
        return 0
    violations = tree.check()
    print("\n".join(violations + [tree.totals()]))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
