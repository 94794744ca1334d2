#!/usr/bin/env python3
"""The page at / in headless Chromium: asking, pairs, a table of 1,000 lines in and out, live figures, keyboard, phone, dark, names for
screen readers, axe-core, and a policy that lets nothing else in.

Usage: page_test.py MINBERT [FOLDER]. Ends with 77 without Chromium and its driver. Screenshots go to FOLDER if it is given.
"""

import base64
import csv
import importlib.util
import io
import json
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

import served

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
DRIVER = shutil.which("chromedriver")
MINBERT, PICTURES = sys.argv[1], pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
if CHROMIUM is None or DRIVER is None:
    print("skipped: no Chromium with its driver")
    sys.exit(77)

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.program = served.Program(MINBERT, served.train(MINBERT, cls.scratch.name))
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1100,1000", f"--user-data-dir={cls.scratch.name}/chromium"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        cls.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        cls.driver.set_script_timeout(60)

    @classmethod
    def tearDownClass(cls):
        cls.driver.quit()
        cls.program.stop()
        cls.scratch.cleanup()

    def setUp(self):
        self.driver.get_log("browser")
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": self.scratch.name})
        self.driver.get(self.program.url + "/")
        self.wait(lambda: "Tasks:" in self.text("facts"))

    def tearDown(self):
        self.assertEqual([entry["message"] for entry in self.driver.get_log("browser")], [])
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.assertRegex(message["params"]["request"]["url"], f"^({self.program.url}/|data:|blob:|chrome)")

    def find(self, name):
        return self.driver.find_element(By.ID, name)

    def text(self, name):
        return self.find(name).text

    def wait(self, condition, seconds=30):
        WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(lambda _: condition())

    def picture(self, name):
        if PICTURES:
            height = self.driver.execute_script("return document.documentElement.scrollHeight")
            width = self.driver.execute_script("return innerWidth")
            data = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": {
                "x": 0, "y": 0, "width": width, "height": min(height, 3000), "scale": 1}})  # fmt: skip
            (PICTURES / f"{name}.png").write_bytes(base64.b64decode(data["data"]))

    def narrow(self):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 375, "height": 800, "deviceScaleFactor": 1, "mobile": True})

    def expect_no_sideways_scrolling(self):
        self.assertLessEqual(self.driver.execute_script("return document.documentElement.scrollWidth - innerWidth"), 0)

    def dark(self):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})

    def ask(self, text, pair=""):
        self.find("text").send_keys(text)
        if pair:
            self.find("pair").send_keys(pair)
        self.find("ask").find_element(By.TAG_NAME, "button").click()
        self.wait(lambda: self.text("ask-status") == "Answered.")

    def test_a_text_shows_every_task(self):
        self.ask("A quiet river runs through the old city. " * 20)
        expected = self.program.json("/predict", {"inputs": "A quiet river runs through the old city. " * 20, "task": "my"})[0]
        card = self.driver.find_element(By.CSS_SELECTOR, "#tasks .card")
        self.assertIn(f"{expected['label']}, {expected['score'] * 100:.1f}%", card.text)
        self.assertEqual(len(card.find_elements(By.CSS_SELECTOR, "tbody tr")), 5)
        self.assertEqual(len(self.driver.find_elements(By.CSS_SELECTOR, "#tokens section > ol li")), 48)
        self.assertEqual(len(self.driver.find_elements(By.CSS_SELECTOR, "#tokens li.cut")), 100)
        self.assertIn("are cut", self.text("tokens"))
        self.assertIn("[CLS]", self.text("tokens"))
        self.assertIn("inference", self.text("times"))
        self.assertIn("/v1/analyze", self.text("curl"))
        self.picture("text")

    def test_why_shows_a_bar_for_each_token(self):
        self.ask("A quiet river.", "A loud river.")
        for button in self.driver.find_elements(By.CSS_SELECTOR, "#tasks .why button"):
            self.driver.execute_script("arguments[0].click()", button)  # cards move while others grow
        bars = lambda: self.driver.find_elements(By.CSS_SELECTOR, "#tasks .why .tokens")  # noqa: E731
        self.wait(lambda: len(bars()) == 4)
        want = self.program.json("/v1/explain", {"text": "A quiet river.", "text_pair": "A loud river.", "task": "near"})["explanation"]["tokens"]
        near = next(card for card in self.driver.find_elements(By.CSS_SELECTOR, "#tasks .card") if card.text.startswith("near"))
        shown = near.find_elements(By.CSS_SELECTOR, ".tokens span")
        self.assertEqual([span.text for span in shown], [token["token"] for token in want])
        self.assertEqual([span.get_attribute("class") == "against" for span in shown], [token["attribution"] < 0 for token in want])
        self.picture("why")
        self.expect_no_sideways_scrolling()

    def test_the_lines_that_it_shows_work(self):
        import subprocess

        self.ask('It\'s "fine" \\ ça')
        want = self.program.json("/v1/analyze", {"inputs": [{"id": "text", "text": 'It\'s "fine" \\ ça'}]})
        if shutil.which("curl"):
            self.assertEqual(json.loads(subprocess.run(["sh", "-c", self.text("curl")], capture_output=True, text=True).stdout), want)
        done = subprocess.run([sys.executable, "-c", self.text("python")], capture_output=True, text=True)
        self.assertIn("'label'", done.stdout, done.stderr)

    def test_a_pair_shows_pair_tasks_and_similarity(self):
        self.ask("A quiet river.", "A loud river.")
        titles = [element.text for element in self.driver.find_elements(By.CSS_SELECTOR, "#tasks h3")]
        for title in ("my", "my of the second text", "para of the pair", "near of the pair", "Similarity of the two texts"):
            self.assertIn(title, titles)
        near = self.program.json("/predict", {"inputs": ["A quiet river.", "A loud river."], "task": "near"})[0]["score"]
        shown = next(card for card in self.driver.find_elements(By.CSS_SELECTOR, "#tasks .card") if card.text.startswith("near"))
        self.assertAlmostEqual(float(shown.find_element(By.CSS_SELECTOR, ".top").text), near, 3)
        self.picture("pair")
        self.dark()
        self.picture("pair-dark")
        self.narrow()
        self.picture("pair-dark-phone")
        self.expect_no_sideways_scrolling()

    def test_errors_are_told(self):
        self.driver.execute_script("document.getElementById('text').value = ' '; document.getElementById('text').required = false;"
                                   "window.fetch = () => Promise.reject(new Error('no connection'))")  # fmt: skip
        self.find("ask").find_element(By.TAG_NAME, "button").click()
        self.wait(lambda: "no connection" in self.text("ask-status"))

    def test_a_table_of_a_thousand_lines(self):
        rows = [["id", "text"]] + [[str(i), f'A "quiet" river, number {i}\nruns.' if i % 3 else f"Fine {i}"] for i in range(1000)]
        path = pathlib.Path(self.scratch.name) / "in.csv"
        with path.open("w", newline="") as out:
            csv.writer(out).writerows(rows)
        self.find("tab-many").click()
        self.find("file").send_keys(str(path))
        self.wait(lambda: self.find("columns").is_displayed())
        self.driver.find_element(By.CSS_SELECTOR, "#table button.main").click()
        self.wait(lambda: "1000 lines in" in self.text("table-status"), 60)
        self.find("save").click()
        saved = pathlib.Path(self.scratch.name) / "answers.csv"
        self.wait(saved.exists)
        time.sleep(0.2)
        got = list(csv.reader(io.StringIO(saved.read_text(encoding="utf-8"), newline="")))
        self.assertEqual(got[0], ["id", "text", "my", "my.score"])
        self.assertEqual([row[:2] for row in got], rows)
        expected = self.program.json("/predict", {"inputs": [row[1] for row in rows[1:]], "task": "my"})
        self.assertEqual([row[2] for row in got[1:]], [answer[0]["label"] for answer in expected])
        self.picture("table")
        self.narrow()
        self.expect_no_sideways_scrolling()
        self.picture("table-phone")

    def test_plain_lines_and_a_server_that_is_busy_for_a_moment(self):
        self.find("tab-many").click()
        self.find("lines").send_keys("Quiet, and old\nLoud, and new\nFine, or not")
        self.assertTrue(self.find("columns").is_displayed())  # it looks like a table of two columns, but no column has a usual name
        self.assertTrue(self.find("plain").is_selected())
        self.driver.execute_script("""const real = window.fetch; let tries = 0;
            window.fetch = (...args) => tries++ ? real(...args) : Promise.resolve(new Response('{"error": "wait"}', { status: 429 }))""")
        self.driver.find_element(By.CSS_SELECTOR, "#table button.main").click()
        self.wait(lambda: "3 lines in" in self.text("table-status"))
        self.assertEqual([cell.text for cell in self.driver.find_elements(By.CSS_SELECTOR, "#rows td:first-child")],
                         ["Quiet, and old", "Loud, and new", "Fine, or not"])  # fmt: skip

    def test_live_figures(self):
        self.find("tab-live").click()
        self.wait(lambda: "Tokens a second" in self.text("figures"))

        def points():
            return self.driver.execute_script("return document.querySelector('#rate polyline')?.getAttribute('points') ?? ''").split()

        def busy():
            self.program.json("/embed", {"inputs": ["A quiet river."] * 50})
            return len(points()) > 2 and any(float(point.split(",")[1]) < 100 for point in points())

        self.wait(busy)
        self.picture("live")
        self.narrow()
        self.expect_no_sideways_scrolling()
        self.picture("live-phone")

    def test_the_keyboard_is_enough(self):
        def focused():
            return self.driver.switch_to.active_element

        def press(*keys):
            webdriver.ActionChains(self.driver).send_keys(*keys).perform()

        press(Keys.TAB)
        self.assertEqual(focused().text, "Skip to the content")
        press(Keys.TAB)
        self.assertEqual(focused().get_attribute("id"), "tab-try")
        press(Keys.ARROW_RIGHT)
        self.assertTrue(self.find("many").is_displayed())
        press(Keys.ARROW_LEFT)
        press(Keys.TAB, Keys.TAB)
        self.assertEqual(focused().get_attribute("id"), "text")
        press("A quiet river.")
        webdriver.ActionChains(self.driver).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()
        self.wait(lambda: self.text("ask-status") == "Answered.")

        def tab_to(condition):
            for _ in range(40):
                if condition(focused()):
                    return
                press(Keys.TAB)
            self.fail("the keyboard does not reach it")

        tab_to(lambda element: element.text == "Copy the curl line")
        self.driver.execute_script("document.getElementById('tab-try').focus()")
        press(Keys.ARROW_RIGHT)
        tab_to(lambda element: element.get_attribute("id") == "lines")
        press("A quiet river.", Keys.ENTER, "A loud one.")
        tab_to(lambda element: element.text == "Answer all lines")
        press(Keys.SPACE)
        self.wait(lambda: "2 lines in" in self.text("table-status"))
        tab_to(lambda element: element.get_attribute("id") == "save")

    def test_screen_readers_get_names(self):
        self.ask("A quiet river.", "A loud river.")
        for tab in ("tab-try", "tab-many", "tab-live"):
            self.find(tab).click()
            nodes = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
            shown = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
            for role, name in shown:
                if role in ("button", "textbox", "combobox", "checkbox", "tab", "tabpanel", "link", "region", "table", "image", "progressbar", "heading"):
                    self.assertTrue(name.strip(), f"a {role} of {tab} has no name")
            self.assertEqual([name for role, name in shown if role == "tab"], ["Try a text", "Many lines", "Live figures"])
            self.assertTrue(any(role == "status" for role, _ in shown))

    def test_nothing_else_may_run(self):
        policy = self.program.ask("/")[1]["Content-Security-Policy"]
        self.assertNotIn("unsafe", policy)
        self.assertIn("default-src 'none'", policy)
        run = self.driver.execute_async_script("""const done = arguments[0], script = document.createElement("script"), seen = [];
            document.addEventListener("securitypolicyviolation", event => seen.push(event.effectiveDirective));
            script.textContent = "window.ran = true";
            document.body.append(script);
            document.body.setAttribute("style", "color: red");
            fetch("http://localhost:9/").catch(() => {}).finally(() => setTimeout(() => done([window.ran ?? false, getComputedStyle(document.body).color, seen.sort()]), 100))""")
        self.assertFalse(run[0])
        self.assertNotEqual(run[1], "rgb(255, 0, 0)")
        self.assertEqual(run[2], ["connect-src", "script-src-elem", "style-src-attr"])
        self.driver.get_log("browser")

    def test_axe_finds_nothing(self):
        spec = importlib.util.find_spec("axe_core_python")
        if spec is None:
            self.skipTest("axe_core_python is not installed")
        axe = (pathlib.Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")
        self.ask("A quiet river.", "A loud river.")
        for dress in (lambda: None, self.dark, self.narrow):
            dress()
            for tab in ("tab-try", "tab-many", "tab-live"):
                self.find(tab).click()
                self.driver.execute_script(axe)
                found = self.driver.execute_async_script("const done = arguments[0]; axe.run().then(result => done(result.violations.map("
                                                         "violation => [violation.id, violation.nodes.map(node => node.html)])))")  # fmt: skip
                self.assertEqual(found, [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
