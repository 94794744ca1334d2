"""What `minbert config explain` says of keys agrees with the JSON Schemas: examples are valid, and each named value is explained.
Usage: keys_test.py PROGRAM ROOT"""
import json
import pathlib
import subprocess
import sys
import tomllib
import unittest

import jsonschema

ROOT, PROGRAM = pathlib.Path(sys.argv.pop()), sys.argv.pop()


def properties(schema, prefix=""):
    """{key: schema} of every key that is no table, blocks included."""
    found = {}
    for name, inner in schema.get("properties", {}).items():
        table = inner.get("items", inner)
        if "properties" in table:
            found |= properties(table, f"{prefix}{name}.")
        else:
            found[prefix + name] = inner
    return found


class KeysTest(unittest.TestCase):
    def setUp(self):
        explained = json.loads(subprocess.run([PROGRAM, "config", "explain", "--json"], check=True, capture_output=True).stdout)
        schemas = {kind: properties(json.loads((ROOT / f"docs/schema/{kind}.json").read_text())) for kind in ("run", "study", "search")}
        explained = [key for key in explained if not key["key"].startswith("task.data.train.")]  # whose schema is one of several
        self.keys = [(key, schemas[key["file"]][key["key"]]) for key in explained]
        self.assertEqual(len(self.keys), sum(map(len, schemas.values())))

    def test_examples_are_valid(self):
        for key, schema in self.keys:
            with self.subTest(key["key"]):
                (name, value), = tomllib.loads(key["example"]).items()
                self.assertEqual(name, key["key"].rpartition(".")[2])
                jsonschema.Draft202012Validator(schema).validate(value)

    def test_values_are_explained(self):
        """A new value needs a line in minbert/cli/key_notes.cpp."""
        for key, schema in self.keys:
            with self.subTest(key["key"]):
                self.assertEqual(sorted(key["values"]), sorted(schema.get("enum", [])))


if __name__ == "__main__":
    unittest.main()
