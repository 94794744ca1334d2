#!/usr/bin/env python3
"""Clients that people use get what the program computes: openai, huggingface_hub, langchain-huggingface, llama-index's of TEI.

Usage: clients_test.py MINBERT. Each client whose package is absent is skipped.
"""

import json
import subprocess
import sys
import tempfile
import unittest
from importlib.util import find_spec

import served

MINBERT = sys.argv[1]
TEXTS = ["A quiet river runs through the old city.", "It was a good film about music.", "ça va"]


def needs(package):
    try:
        found = find_spec(package)
    except ModuleNotFoundError:  # the package that it belongs to
        found = None
    return unittest.skipUnless(found, f"{package} is not installed")


def rounded(vectors):
    """As float32, which the JSON texts of floats name exactly."""
    import numpy

    return numpy.asarray(vectors, numpy.float32).tolist()


class ClientsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.model = model = served.train(MINBERT, cls.scratch.name)
        lines = "\n".join(TEXTS)
        def run(*arguments):
            return subprocess.run([MINBERT, *map(str, arguments)], input=lines, check=True, capture_output=True, text=True).stdout.splitlines()
        cls.vectors = rounded([json.loads(line) for line in run("embed", model, "-o", "-", "--normalize")])
        cls.labels = [json.loads(line) for line in run("predict", model, "--task", "my")]
        cls.program = served.Program(MINBERT, model)

    @classmethod
    def tearDownClass(cls):
        cls.program.stop()
        cls.scratch.cleanup()

    @needs("openai")
    def test_openai_in_base64_and_in_floats(self):
        import openai

        client = openai.OpenAI(base_url=self.program.url + "/v1", api_key="none")
        for more in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
            reply = client.embeddings.create(model="any", input=TEXTS, **more)
            got = [row.embedding for row in reply.data]
            if more.get("encoding_format") == "base64" and isinstance(got[0], str):
                import base64

                import numpy

                got = [numpy.frombuffer(base64.b64decode(text), "<f4") for text in got]
            self.assertEqual(rounded(got), self.vectors)
            self.assertGreater(reply.usage.total_tokens, 10)
        self.assertEqual(client.models.list().data[0].owned_by, "minbert")
        with self.assertRaises(openai.UnprocessableEntityError) as caught:
            client.embeddings.create(model="any", input=TEXTS, dimensions=100000)
        self.assertEqual(caught.exception.param, "dimensions")

    @needs("huggingface_hub")
    def test_inference_client(self):
        import huggingface_hub

        client = huggingface_hub.InferenceClient()
        got = client.feature_extraction(TEXTS, model=self.program.url + "/embed", normalize=True, truncate=True)
        self.assertEqual(rounded(got), self.vectors)
        # The client wants a list of lists and takes the first; of a list of labels, as text-embeddings-inference sends it, that is the best.
        best = client.text_classification(TEXTS[0], model=self.program.url + "/predict?task=my", top_k=3)
        self.assertEqual((int(best.label), best.score), (self.labels[0]["pred"], max(self.labels[0]["probs"])))
        every = client.text_classification([TEXTS[0]], model=self.program.url + "/predict?task=my")
        self.assertEqual({int(row.label): row.score for row in every}, dict(enumerate(self.labels[0]["probs"])))
        labels = self.program.json("/predict", {"inputs": TEXTS[0], "task": "my"})
        self.assertEqual({row["label"]: row["score"] for row in labels}, {str(i): p for i, p in enumerate(self.labels[0]["probs"])})
        scores = client.sentence_similarity(TEXTS[0], other_sentences=TEXTS[1:], model=self.program.url + "/similarity")
        want = [sum(a * b for a, b in zip(self.vectors[0], vector)) for vector in self.vectors[1:]]
        for score, cosine in zip(scores, want):
            self.assertAlmostEqual(score, cosine, 6)
        self.assertEqual(scores, self.program.json("/similarity", {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}}))

    @needs("langchain_huggingface")
    def test_langchain(self):
        from langchain_huggingface import HuggingFaceEndpointEmbeddings

        import huggingface_hub

        embeddings = HuggingFaceEndpointEmbeddings(model="any/name")
        embeddings.client = huggingface_hub.InferenceClient(model=self.program.url + "/embed")  # newer versions refuse a URL as the model
        self.assertEqual(rounded(embeddings.embed_documents(TEXTS)), self.vectors)
        self.assertEqual(rounded([embeddings.embed_query(TEXTS[0])]), self.vectors[:1])

    @needs("llama_index.embeddings.text_embeddings_inference")
    def test_llama_index(self):
        from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference

        client = TextEmbeddingsInference(base_url=self.program.url, model_name="any", embed_batch_size=2, query_instruction="", text_instruction="")
        self.assertEqual(rounded(client.get_text_embedding_batch(TEXTS)), self.vectors)
        self.assertEqual(rounded([client.get_query_embedding(TEXTS[0])]), self.vectors[:1])

    def test_rerank_as_cohere_and_jina_send_it(self):
        reply = self.program.json("/v1/rerank", {"model": "rerank-v3.5", "query": TEXTS[0], "documents": [{"text": text} for text in TEXTS], "top_n": 2,
                                                 "return_documents": True, "max_chunks_per_doc": 10})  # fmt: skip
        self.assertEqual(len(reply["results"]), 2)
        pairs = "\n".join(f"{TEXTS[0]}\t{text}" for text in TEXTS)
        done = subprocess.run([MINBERT, "predict", self.model, "--task", "near"], input=pairs, check=True, capture_output=True, text=True)
        scores = [json.loads(line)["pred"] for line in done.stdout.splitlines()]
        named = self.program.json("/v1/rerank", {"query": TEXTS[0], "documents": TEXTS, "task": "near"})["results"]
        self.assertEqual([(row["index"], row["relevance_score"]) for row in named], sorted(enumerate(scores), key=lambda pair: -pair[1]))
        self.assertEqual(reply["results"][0]["document"]["text"], TEXTS[reply["results"][0]["index"]])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
