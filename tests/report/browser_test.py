#!/usr/bin/env python3
"""Pages of a trained run, an unfinished run, seeds, two runs and a study are well-formed and work in headless Chromium.

Usage: browser_test.py MINBERT text|browser. `text` parses them as XML. `browser` (77 without Chromium) looks for messages on the
console, for sideways scrolling at 375 pixels, at the search, and for what axe-core finds in both colour schemes (where axe_core_python
is installed).
"""
import html
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

MINBERT = sys.argv[1]
CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
NARROW = 375

CONFIG = """
[model]
init = "scratch"
max_length = 48
config = { hidden_size = 16, num_hidden_layers = 1, num_attention_heads = 2, intermediate_size = 32, max_position_embeddings = 64 }
vocabulary = { size = 300 }
[data]
root = "samples"
[[task]]
name = "a-task-with-a-name-that-is-rather-long-for-a-phone"
type = "classify"
labels = 5
head = { dense = ["2H", "H"] }
data = { train = "sentiment-train.csv", dev = "sentiment-dev.csv", text = "sentence" }
[[task]]
name = "paraphrase"
type = "pair_classify"
labels = 2
data = { train = "paraphrase-train.csv", dev = "paraphrase-dev.csv", text = "sentence1", text_pair = "sentence2" }
[[task]]
name = "similarity"
type = "pair_regress"
data = { train = "similarity-train.csv", dev = "similarity-dev.csv", text = "sentence1", text_pair = "sentence2", label_range = [0, 5] }
[[stage]]
name = "multi"
epochs = 2
max_steps = 60
sampler = "shuffled"
eval_train = 100
"""
HEADS = '[[stage]]\nname = "single"\nkind = "heads"\nepochs = 1\n'
STUDY = """
[study]
name = "small"
title = "Linear & dense heads"
base = "base.toml"
seeds = [1, 2]
[[row]]
name = "plain"
published = { paraphrase = 0.61 }
[[row]]
name = "heads-after"
title = "Heads after that"
overlay = "heads.toml"
seeds = [1]
"""


def minbert(*arguments):
    subprocess.run([MINBERT, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def make_pages(folder):
    """{name: path of a report}"""
    (folder / "base.toml").write_text(CONFIG)
    (folder / "heads.toml").write_text(HEADS)
    (folder / "study.toml").write_text(STUDY)
    minbert("sample-data", "-o", str(folder / "samples"))
    study = folder / "study"
    minbert("study", str(folder / "study.toml"), "-o", str(study), "--threads", "1")
    minbert("report", str(study))
    young = folder / "young"
    young.mkdir()
    (young / "status.json").write_text('{"format": 1, "state": "running"}')
    minbert("report", str(young))
    run = study / "rows/heads-after/seed-1"
    minbert("report", str(run))
    seeds = study / "rows/plain"
    minbert("report", str(seeds))
    several = folder / "several.html"
    minbert("report", str(seeds / "seed-1"), str(run), "-o", str(several))
    return {"run": run / "report.html", "study": study / "report.html", "young": young / "report.html", "seeds": seeds / "report.html",
            "several": several}


def visit(page, dark=False):
    """(the document after its scripts have run, console messages)"""
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900", "--virtual-time-budget=20000",
               "--enable-logging=stderr", "--dump-dom"]
    if dark:
        command.append("--blink-settings=preferredColorScheme=0")
    done = subprocess.run([*command, page.as_uri()], check=True, capture_output=True, text=True, timeout=120)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def with_script(page, script, narrow=False):
    """A copy of the page, as wide as a phone or as the window, which runs one more script and therefore has no policy. answer_of() finds
    what the script passes to `answer`."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    show = "value => { const pre = document.createElement('pre'); pre.id = 'answer'; pre.textContent = value; document.body.append(pre); }"
    answer = ("const answer = value => { const text = JSON.stringify(value);"
              f" parent === window ? ({show})(text) : parent.postMessage(text, '*'); }};")
    copy = page.with_name("probed.html")
    copy.write_text(text.replace("</body>", f"<script>{answer}\n{script}</script></body>"), encoding="utf-8")
    frame = page.with_name("phone.html")  # Chromium's windows are at least 500 pixels wide
    frame.write_text(f"<body><iframe src='probed.html' style='border:0;width:{NARROW}px;height:900px'></iframe>"
                     f"<script>addEventListener('message', event => ({show})(event.data));</script>")
    return frame if narrow else copy


def answer_of(document):
    return json.loads(html.unescape(re.search(r'<pre id="answer">(.*?)</pre>', document, re.DOTALL)[1]))


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.pages = make_pages(pathlib.Path(cls.temporary.name))

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()


class Text(Pages):
    def test_pages_are_well_formed(self):
        for name, page in self.pages.items():
            with self.subTest(name):
                root = xml.etree.ElementTree.parse(page).getroot()
                levels = [int(element.tag[1]) for element in root.iter() if re.fullmatch("h[1-6]", element.tag)]
                self.assertEqual(levels[0], 1)
                self.assertEqual(levels.count(1), 1)
                self.assertTrue(all(after <= before + 1 for before, after in zip(levels, levels[1:])), levels)
                ids = [element.get("id") for element in root.iter() if element.get("id")]
                self.assertEqual(len(ids), len(set(ids)))
                for svg in root.iter("svg"):
                    self.assertTrue(svg.get("role") == "img" or svg.find("..") is None, svg.attrib)
                links = [element.get("href")[1:] for element in root.iter("a")]
                self.assertLessEqual(set(links), set(ids))

    def test_files_stay_small(self):
        for page in self.pages.values():
            self.assertLess(page.stat().st_size, 2_000_000)


class Browser(Pages):
    def test_the_console_is_silent_and_the_script_runs(self):
        for name in ("run", "study", "several", "young"):
            with self.subTest(name):
                document, messages = visit(self.pages[name])
                self.assertEqual(messages, [])
                self.assertEqual("<label class=\"search\">" in document, name != "young")

    def test_nothing_scrolls_sideways(self):
        script = ("answer({page: document.documentElement.scrollWidth, window: innerWidth,"
                  " wide: [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, pre'))"
                  ".filter(e => e.getBoundingClientRect().right > innerWidth).map(e => e.outerHTML.slice(0, 200))});")
        for name in ("run", "study", "several"):
            with self.subTest(name):
                answer = answer_of(visit(with_script(self.pages[name], script, narrow=True))[0])
                self.assertEqual(answer["window"], NARROW)
                self.assertLessEqual(answer["page"], NARROW, answer["wide"])
                self.assertEqual(answer["wide"], [])

    def test_the_search_filters_rows(self):
        script = ("const box = document.querySelector('.search input');"
                  "const rows = [...document.querySelector('table[data-search] tbody').rows];"
                  "const seen = text => { box.value = text; box.dispatchEvent(new Event('input'));"
                  " return rows.filter(row => row.offsetParent).length; };"
                  "const word = rows[0].textContent.toLowerCase().match(/[a-z]{4,}/g).join(' ');"
                  "answer({all: rows.length, none: seen('no such words anywhere'), one: seen(word), again: seen('')});")
        answer = answer_of(visit(with_script(self.pages["run"], script, narrow=True))[0])
        self.assertEqual(answer["none"], 0)
        self.assertGreaterEqual(answer["one"], 1)
        self.assertLess(answer["one"], answer["all"])
        self.assertEqual(answer["again"], answer["all"])

    def test_axe_finds_nothing(self):
        spec = importlib.util.find_spec("axe_core_python")
        if spec is None:
            self.skipTest("axe_core_python is not installed")
        axe = (pathlib.Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")
        script = axe.replace("</script", "<\\/script") + (
            ";document.querySelectorAll('details').forEach(d => d.open = true);"
            "axe.run(document, {resultTypes: ['violations']})"
            ".then(found => answer(found.violations.map(v => [v.id, ...v.nodes.slice(0, 3).map(n => n.html.slice(0, 200))])));")
        for name in ("run", "study", "several"):
            probed = with_script(self.pages[name], script)
            for dark in (False, True):
                with self.subTest(name, dark=dark):
                    self.assertEqual(answer_of(visit(probed, dark)[0]), [])


if __name__ == "__main__":
    if sys.argv[2] == "browser" and CHROMIUM is None:
        print("skipped: no Chromium here")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], "Browser" if sys.argv[2] == "browser" else "Text"])
