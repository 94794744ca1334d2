"""The project's recipes keep to the JSON Schemas of docs/schema, and a spoilt one does not. Usage: schema_test.py ROOT"""
import json
import pathlib
import sys
import tomllib
import unittest

import jsonschema

ROOT = pathlib.Path(sys.argv.pop())


def kind_of(path, recipe):
    """The schema that a file of recipes/ is for."""
    return next((kind for kind in ("study", "search") if kind in recipe), "data" if path.name == "sources.toml" else "run")


class SchemaTest(unittest.TestCase):
    def setUp(self):
        self.recipes = {path: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "recipes").rglob("*.toml"))}
        self.schemas = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "docs" / "schema").glob("*.json")}

    def mistakes(self, path, recipe):
        return list(jsonschema.Draft202012Validator(self.schemas[kind_of(path, recipe)]).iter_errors(recipe))

    def test_schemas_are_schemas(self):
        for schema in self.schemas.values():
            jsonschema.Draft202012Validator.check_schema(schema)

    def test_recipes_keep_to_them(self):
        self.assertGreater(len(self.recipes), 10)
        for path, recipe in self.recipes.items():
            with self.subTest(path):
                self.assertEqual([f"{m.json_path}: {m.message}" for m in self.mistakes(path, recipe)], [])

    def test_spoilt_ones_do_not(self):
        for path, recipe in self.recipes.items():
            with self.subTest(path):
                self.assertTrue(self.mistakes(path, recipe | {"unknown": 1}))
        base = self.recipes[ROOT / "recipes" / "paper" / "base.toml"]
        for stage in ({"epochs": "ten"}, {"lr": -1}, {"kind": "magic"}, {"betas": [0.9]}):
            with self.subTest(stage):
                self.assertTrue(self.mistakes(ROOT, base | {"stage": [stage]}))


if __name__ == "__main__":
    unittest.main()
