"""Model: shapes and values of everything that a loaded model answers, and its errors."""
import json
import os
import pickle
import shutil
import signal
import threading
import time

import numpy as np
import pytest

import minbert
from conftest import MINILM, ragged_lines, run_program
from minbert._native import quantize


def test_it_tells_what_it_is(tiny):
    assert tiny.tasks == ["mood", "stars", "same", "near"]
    assert tiny.config["hidden_size"] == 16 and tiny.dtype == "f32" and tiny.threads == 1 and tiny.max_seq_length == 16
    assert tiny.get_embedding_dimension() == tiny.get_sentence_embedding_dimension() == 16
    assert tiny.classes_("mood").tolist() == ["bad", "good"] and tiny.classes_("stars").tolist() == [0, 1, 2]
    assert tiny.task_info("near").is_pair and tiny.task_info("near").is_regression
    assert "mood" in repr(tiny)


def test_encode_has_the_shapes_of_sentence_transformers(tiny):
    one, some = tiny.encode("a fine film"), tiny.encode(["a fine film", "dull"])
    assert one.shape == (16,) and some.shape == (2, 16) and some.dtype == np.float32 and some.flags.c_contiguous
    assert np.array_equal(one, some[0])
    assert tiny.encode([]).shape == (0, 16)
    assert np.array_equal(tiny.encode(np.array(["a fine film", "dull"])), some)
    assert [row.shape for row in tiny.encode(["a", "b"], convert_to_numpy=False)] == [(16,), (16,)]
    unit = tiny.encode(["a", "film"], normalize_embeddings=True)
    assert np.allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    assert np.array_equal(tiny.encode(["a", "film"], truncate_dim=5), tiny.encode(["a", "film"])[:, :5])
    cut = tiny.encode(["a", "film"], truncate_dim=5, normalize_embeddings=True)
    assert cut.shape == (2, 5) and np.allclose(np.linalg.norm(cut, axis=1), 1, atol=1e-6)
    assert not np.array_equal(tiny.encode("a film", pool="cls"), tiny.encode("a film"))
    assert np.array_equal(tiny.encode("b", prompt="a "), tiny.encode("a b"))
    with pytest.raises(minbert.Error, match="truncate_dim: expected a whole number from 1 to 16, got 17"):
        tiny.encode("a", truncate_dim=17)


def test_precisions_are_those_of_sentence_transformers(tiny):
    rows = tiny.encode(ragged_lines(200))
    binary, ubinary = quantize(rows, "binary"), quantize(rows, "ubinary")
    assert binary.dtype == np.int8 and ubinary.dtype == np.uint8 and binary.shape == (200, 2)
    assert np.array_equal(np.unpackbits(ubinary, axis=1), rows > 0)
    assert np.array_equal(binary.astype(int) + 128, ubinary)
    low, high = rows.min(axis=0), rows.max(axis=0)
    levels = np.clip(np.floor((rows - low) / ((high - low) / 255)), 0, 255)
    assert np.array_equal(tiny.encode(ragged_lines(200), precision="uint8"), levels)
    assert np.array_equal(quantize(rows, "int8"), levels - 128)
    quantization = pytest.importorskip("sentence_transformers.util")
    for precision in ("int8", "uint8", "binary", "ubinary"):
        assert np.array_equal(quantize(rows, precision), quantization.quantize_embeddings(rows, precision)), precision
    with pytest.warns(UserWarning, match="come from 2 of them"):
        tiny.encode(["a", "film"], precision="int8")
    with pytest.raises(minbert.Error, match="at least two vectors"), pytest.warns(UserWarning):
        tiny.encode("a", precision="int8")
    assert tiny.encode("a", precision="ubinary").shape == (2,)
    with pytest.raises(minbert.Error, match="precision"):
        tiny.encode("a", precision="int4")


def test_similarity(tiny):
    a, b = tiny.encode(["a film", "dull"]), tiny.encode(["a film", "fine", "good"])
    scores = tiny.similarity(a, b)
    assert scores.shape == (2, 3) and scores[0, 0] == pytest.approx(1, abs=1e-6)
    assert tiny.similarity_pairwise(a, b[:2]) == pytest.approx([scores[0, 0], scores[1, 1]], abs=1e-6)


def test_similarity_is_that_of_the_folder(tiny, tmp_path):
    shutil.copytree(tiny.folder, tmp_path / "model")
    model = minbert.load(tmp_path / "model", threads=1)
    file = model.folder / "config_sentence_transformers.json"
    a, b = [[3, 4]], [[0, 0], [9, 12]]
    for name, wanted in (("euclidean", [-5, -10]), ("manhattan", [-7, -14]), ("dot", [0, 75]), ("cosine", [0, 1]), (None, [0, 1])):
        file.write_text(json.dumps({"similarity_fn_name": name}), encoding="utf-8")
        assert model.similarity_fn_name == (name or "cosine")
        assert model.similarity(a, b) == pytest.approx(np.array([wanted]), abs=1e-6), name
        assert model.similarity_pairwise(a * 2, b) == pytest.approx(np.array(wanted), abs=1e-6), name


def test_prompts_of_queries_and_documents(tiny, tmp_path):
    shutil.copytree(tiny.folder, tmp_path / "model")
    settings = tmp_path / "model" / "config_sentence_transformers.json"
    assert np.array_equal(tiny.encode_query("b"), tiny.encode("b")), "a folder without prompts"
    settings.write_text(json.dumps({"prompts": {"query": "a ", "passage": "a a "}}), encoding="utf-8")
    model = minbert.load(tmp_path / "model", threads=1)
    assert model.prompts == {"query": "a ", "passage": "a a "}
    assert np.array_equal(model.encode_query("b"), model.encode("a b"))
    assert np.array_equal(model.encode_document(["b", "c"]), model.encode(["a a b", "a a c"]))
    assert np.array_equal(model.encode_query("b", prompt="a a "), model.encode("a a b"))
    assert np.array_equal(model.encode_document("b", prompt_name="query"), model.encode("a b"))


def test_tensors(tiny):
    torch = pytest.importorskip("torch")
    rows = tiny.encode(["a", "b"], convert_to_tensor=True)
    assert rows.dtype == torch.float32 and np.array_equal(rows.numpy(), tiny.encode(["a", "b"]))
    assert tiny.encode("a", convert_to_tensor=True).shape == rows[0].shape


def test_predict_gives_names_ints_and_floats(tiny):
    moods = tiny.predict(["a fine film", "dull"], task="mood")
    assert len(moods) == 2 and set(moods) <= {"bad", "good"} and isinstance(moods[0], str)
    assert tiny.predict("a fine film", "mood") == moods[0]
    assert all(isinstance(star, int) for star in tiny.predict(["a film", "dull"], task="stars"))
    near = tiny.predict([("a film", "a film"), ("a film", "dull")], task="near")
    assert all(isinstance(value, float) for value in near)
    assert tiny.predict(("a film", "a film"), task="near") == pytest.approx(near[0])
    assert tiny.predict(np.array([["a film", "a film"], ["a film", "dull"]]), task="near") == near
    assert tiny.predict([{"text": "a film", "text_pair": "dull"}], task="near") == near[1:]
    assert tiny.predict([], task="mood") == []
    pandas = pytest.importorskip("pandas")
    assert tiny.predict(pandas.Series(["a fine film", "dull"]), task="mood") == moods
    assert tiny.predict(pandas.DataFrame({"a": ["a film", "a film"], "b": ["a film", "dull"]}), task="near") == near


def test_predict_proba_has_a_column_for_each_class(tiny):
    probs = tiny.predict_proba(["a fine film", "dull"], task="stars")
    assert probs.shape == (2, 3) and probs.dtype == np.float64 and np.allclose(probs.sum(axis=1), 1)
    assert tiny.predict(["a fine film", "dull"], task="stars") == probs.argmax(axis=1).tolist()
    assert tiny.predict_proba("dull", task="stars").shape == (3,)
    with pytest.raises(minbert.Error, match='"near" gives numbers'):
        tiny.predict_proba([("a", "b")], task="near")


def test_analyze_answers_all_tasks_that_fit(tiny):
    one, two = tiny.analyze(["a fine film", "dull"])
    assert list(one) == ["mood", "stars"]
    assert one["mood"]["label"] == tiny.predict("a fine film", "mood")
    assert list(one["mood"]["probs"]) == ["bad", "good"] and list(two["stars"]["probs"]) == [0, 1, 2]
    assert one["mood"]["score"] == max(one["mood"]["probs"].values())
    pair = tiny.analyze(("a film", "dull"))
    assert list(pair) == ["same", "near"] and pair["near"] == {"value": tiny.predict(("a film", "dull"), "near")}
    assert list(tiny.analyze("dull", tasks=["stars"])) == ["stars"]


def test_rank_is_that_of_cross_encoders(tiny):
    documents = ["dull", "a film", "fine"]
    ranked = tiny.rank("a film", documents, task="same", top_k=2, return_documents=True)
    assert len(ranked) == 2 and ranked[0]["score"] >= ranked[1]["score"]
    assert ranked[0]["text"] == documents[ranked[0]["corpus_id"]]
    probs = tiny.predict_proba([("a film", text) for text in documents], task="same")[:, 1]
    assert ranked[0]["score"] == probs.max()
    assert tiny.rank("a film", documents)[0]["corpus_id"] == 1  # two tasks score pairs: by cosine


def test_tokenize_is_that_of_the_program(tiny, tiny_run):
    texts = ragged_lines(30)
    lines = run_program("tokenize", tiny_run.folder, "--json", input="\n".join(texts) + "\n").splitlines()
    for got, line in zip(tiny.tokenize(texts), lines, strict=True):
        assert json.loads(json.dumps(got)) == json.loads(line)
    assert tiny.tokenize("a film", pairs="dull")["type_ids"][-1] == 1
    assert len(tiny.tokenize("a fine dull film", max_length=3)["ids"]) == 3


def check_bytes(model, folder, task, lines, tmp_path):
    """Labels, probabilities and vectors have the bytes of the program's."""
    source = tmp_path / "lines.txt"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run_program("embed", folder, "-i", source, "-o", tmp_path / "rows.npy", "--dtype", "f32")
    assert np.load(tmp_path / "rows.npy").tobytes() == model.encode(lines).tobytes()
    if task is None:
        return
    out = run_program("predict", folder, "--task", task, "-i", source, "--in-format", "lines", "--dtype", "f32")
    answers = [json.loads(line) for line in out.splitlines()]
    labels, probs = model.predict(lines, task=task), model.predict_proba(lines, task=task)
    assert [answer["pred"] for answer in answers] == labels
    listed = [list(a["probs"].values()) if isinstance(a["probs"], dict) else a["probs"] for a in answers]
    assert np.array(listed, dtype=np.float32).tobytes() == probs.astype(np.float32).tobytes()  # the program prints f32


def test_bytes_are_those_of_the_program(tiny, tiny_run, tmp_path):
    for task in ("mood", "stars"):
        check_bytes(tiny, tiny_run.folder, task, ragged_lines(1000), tmp_path)


def test_bytes_of_a_real_model_are_those_of_the_program(minilm, tmp_path):
    check_bytes(minilm, MINILM, None, ragged_lines(40), tmp_path)


def test_encode_is_that_of_sentence_transformers(minilm):
    module = pytest.importorskip("sentence_transformers")
    lines = ragged_lines(30)
    theirs = module.SentenceTransformer(str(MINILM), device="cpu")
    assert np.abs(minilm.encode(lines) - theirs.encode(lines)).max() < 1e-5
    assert np.abs(minilm.encode(lines, truncate_dim=64) - theirs.encode(lines, truncate_dim=64)).max() < 1e-5
    assert minilm.encode("a film").shape == theirs.encode("a film").shape
    assert np.abs(minilm.similarity(minilm.encode(lines), minilm.encode(lines[:5])) -
                  theirs.similarity(theirs.encode(lines), theirs.encode(lines[:5])).numpy()).max() < 1e-5


def test_errors_have_a_tag_a_place_and_a_hint(tiny):
    with pytest.raises(minbert.Error) as caught:
        tiny.predict(["a"], task="moot")
    assert isinstance(caught.value, ValueError)
    assert caught.value.tag == "usage" and caught.value.hint == 'did you mean "mood"?' and caught.value.place == str(tiny.folder)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.tag, copy.place, copy.hint, str(copy)) == (caught.value.tag, caught.value.place, caught.value.hint, str(caught.value))
    with pytest.raises(OSError, match="expected a model folder or a run folder, got none") as caught:
        minbert.load("/no/such")
    assert caught.value.tag == "model" and caught.value.place == "/no/such"
    with pytest.raises(ValueError, match="dtype"):
        minbert.load(tiny.folder, dtype="f64")
    with pytest.raises(minbert.Error, match="input 1: expected a str, got int"):
        tiny.encode(["a", 3])
    with pytest.raises(minbert.Error, match="input 0: expected a str, got NoneType"):
        tiny.predict([("a", None)], task="near")
    for call in (lambda: tiny.tokenize([5]), lambda: tiny.rank("a", [5]), lambda: tiny.rank(None, ["a"])):
        with pytest.raises(minbert.Error, match="input 0: expected a str"):
            call()
    with pytest.raises(minbert.Error, match="top_k"):
        tiny.rank("a", ["b"], top_k=-1)
    with pytest.raises(minbert.Error, match='expected the key "text", got \'x\''):
        tiny.predict({"x": "a"}, task="mood")
    with pytest.raises(minbert.Error, match="expected texts, got pairs"):
        tiny.encode([("a", "b")])
    for threads in (-1, 5000):
        with pytest.raises(minbert.Error, match="threads: expected 1 to 4096"):
            minbert.load(tiny.folder, threads=threads)
    with pytest.raises(minbert.Error, match="expected a pair of texts"):
        tiny.predict(["a"], task="near")
    with pytest.raises(minbert.Error, match="expected one text"):
        tiny.predict([("a", "b")], task="mood")
    with pytest.raises(minbert.Error, match="mixture"):
        tiny.predict(["a", ("a", "b")], task="mood")


def test_lone_surrogates_and_zero_bytes_are_texts(tiny):
    assert tiny.encode(["a \ud800 film", "a\0film"]).shape == (2, 16)
    assert tiny.tokenize("\ud800 film")["offsets"] == tiny.tokenize("\ufffd film")["offsets"]


def test_arrays_frames_and_dicts_are_read_alike(tiny):
    pandas = pytest.importorskip("pandas")
    wanted = tiny.encode(["a film", "dull"])
    assert np.array_equal(tiny.encode(pandas.DataFrame({"review": ["a film", "dull"]})), wanted)
    assert np.array_equal(tiny.encode(pandas.Series(["a film", "dull"])), wanted)
    assert np.array_equal(tiny.encode(np.array("a film")), wanted[0])
    assert tiny.predict(np.array("a film"), task="mood") == tiny.predict("a film", task="mood")


def test_models_pickle_by_their_folder(tiny):
    assert np.array_equal(pickle.loads(pickle.dumps(tiny)).encode("a film"), tiny.encode("a film"))


def test_threads_share_a_model(tiny):
    lines = ragged_lines(300)
    wanted = tiny.encode(lines)
    same = []

    def work():
        for _ in range(5):
            same.append(np.array_equal(tiny.encode(lines), wanted))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 20


def test_the_interpreter_runs_while_a_model_computes(tiny):
    lines = ragged_lines(500) * 40
    done = threading.Event()

    def work():
        tiny.encode(lines)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    turns = 0
    while not done.is_set():
        turns += 1
        time.sleep(0.001)
    thread.join()
    assert turns > 3  # with the lock held there would be one


def test_ctrl_c_ends_encode(tiny):
    lines = ragged_lines(500) * 400
    with pytest.raises(KeyboardInterrupt):
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        tiny.encode(lines)
    assert tiny.encode("a").shape == (16,)


def test_a_bar_counts_inputs(tiny, capsys):
    tiny.encode(ragged_lines(700), show_progress_bar=True)
    assert "700/700" in capsys.readouterr().err
