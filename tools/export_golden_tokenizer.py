#!/usr/bin/env python3
"""Writes tests/golden/tokenizer: the results of Hugging Face's fast BERT tokenizer for difficult texts.

Writes vocab.txt, and a file of JSON lines for each of several settings. The first line has the settings. Each other line has a text or a
pair of texts with its ids, its type ids unless all are 0, and its offsets in one list. Text that is not UTF-8 is in hexadecimal.

    python3 tools/export_golden_tokenizer.py [folder]        needs tokenizers
"""
import json
import pathlib
import random
import sys

import tokenizers
from tokenizer_texts import SENTENCES, as_reference, fuzz_text, vocabulary_of

SEED = 11711
TEXTS, PAIRS = 90, 30  # in each file
LONGEST = 300  # bytes
SETTINGS = {
    "uncased": {"lowercase": True},
    "cased": {"lowercase": False},
    "accents": {"lowercase": True, "strip_accents": False},
    "cased_stripped": {"lowercase": False, "strip_accents": True},
    "raw": {"lowercase": True, "clean_text": False, "handle_chinese_chars": False},
}


def short_texts(rng, count):
    texts = []
    while len(texts) < count:
        text = fuzz_text(rng)
        if len(text) <= LONGEST:
            texts.append(text)
    return texts


def reference_tokenizer(vocabulary, settings):
    ids = {token: i for i, token in enumerate(vocabulary)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(**settings)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[(t, ids[t]) for t in ("[CLS]", "[SEP]")]
    )
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return tokenizer


def spelled(text):
    return {"hex": text.hex()} if "\ufffd" in as_reference(text) else as_reference(text)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent / "tests/golden/tokenizer")
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(SEED)
    texts = {name: short_texts(rng, TEXTS) for name in SETTINGS}
    for name in ("uncased", "cased"):
        texts[name] += [sentence.encode() for sentence in SENTENCES]
    vocabulary = vocabulary_of(sum(texts.values(), []))
    (folder / "vocab.txt").write_text("".join(token + "\n" for token in vocabulary), encoding="utf-8", newline="\n")
    for name, settings in SETTINGS.items():
        tokenizer = reference_tokenizer(vocabulary, settings)
        cases = [((text,), 0) for text in texts[name]]
        cases += [(tuple(rng.sample(texts[name], 2)), rng.choice([0, *range(3, 30)])) for _ in range(PAIRS)]
        lines = [settings]
        for case, max_length in cases:
            tokenizer.enable_truncation(max_length) if max_length else tokenizer.no_truncation()
            encoding = tokenizer.encode(*map(as_reference, case))
            line = {"texts": list(map(spelled, case)), "ids": encoding.ids, "offsets": sum(map(list, encoding.offsets), [])}
            if max_length:
                line["max_length"] = max_length
            if len(case) > 1:
                line["type_ids"] = encoding.type_ids
            lines.append(line)
        text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8", newline="\n")


main()
