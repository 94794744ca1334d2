#!/usr/bin/env python3
"""A peer of minbert serve: a small FastAPI server with POST /embed {"inputs": text or list} -> [[f], ..], on one engine.

Usage: serve_peer.py --engine sentence-transformers|onnxruntime --model FOLDER --port N --threads N
"""

import argparse
import json
from pathlib import Path


def sentence_transformers_encoder(folder, threads):
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    model = SentenceTransformer(str(folder), device="cpu")
    return lambda texts: model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def onnxruntime_encoder(folder, threads):
    """Mean pooling over an export of the encoder, made beside the process's temporary files."""
    import tempfile

    import numpy as np
    import onnxruntime
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    names, axes = ["input_ids", "attention_mask", "token_type_ids"], {0: "batch", 1: "length"}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        example = tokenizer(["a text", "b"], padding=True, return_tensors="pt")
        torch.onnx.export(model, tuple(example[name] for name in names), path, input_names=names, output_names=["hidden"], dynamo=False,
                          dynamic_axes={name: axes for name in [*names, "hidden"]}, opset_version=17)  # fmt: skip
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def encode(texts):
        batch = tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="np")
        (hidden,) = session.run(None, {name: batch[name].astype(np.int64) for name in names})
        mask = batch["attention_mask"][..., None].astype(np.float32)
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    return encode


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--engine", choices=["sentence-transformers", "onnxruntime"], required=True)
    flags.add_argument("--model", type=Path, required=True)
    flags.add_argument("--port", type=int, required=True)
    flags.add_argument("--threads", type=int, required=True)
    o = flags.parse_args()

    import fastapi
    import uvicorn

    encode = {"sentence-transformers": sentence_transformers_encoder, "onnxruntime": onnxruntime_encoder}[o.engine](o.model, o.threads)
    app = fastapi.FastAPI()

    @app.get("/health")
    def health():
        return {}

    @app.post("/embed")
    def embed(body: dict):
        texts = body["inputs"]
        return fastapi.responses.JSONResponse(encode([texts] if isinstance(texts, str) else texts).tolist())

    uvicorn.run(app, host="127.0.0.1", port=o.port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
