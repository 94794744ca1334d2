#!/usr/bin/env python3
"""A peer of minbert serve: a small FastAPI server with POST /embed {"inputs": text or list} -> [[f], ..], on one engine.

Usage: serve_peer.py --engine sentence-transformers|onnxruntime --model FOLDER [--exported FOLDER] --port N --threads N
"""

import argparse
from pathlib import Path

import peer


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--engine", choices=["sentence-transformers", "onnxruntime"], required=True)
    flags.add_argument("--model", type=Path, required=True)
    flags.add_argument("--exported", type=Path, help="what peer.py export has written for onnxruntime")
    flags.add_argument("--port", type=int, required=True)
    flags.add_argument("--threads", type=int, required=True)
    o = flags.parse_args()
    o.dtype = "f32"

    import fastapi
    import uvicorn

    encode, _ = {"sentence-transformers": peer.embed_sentence_transformers, "onnxruntime": peer.embed_onnxruntime}[o.engine](o)
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
