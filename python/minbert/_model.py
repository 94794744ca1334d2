"""Model: a loaded folder that encodes, predicts and ranks."""
from __future__ import annotations

import json
import os
import pathlib
import warnings
from typing import TYPE_CHECKING, Any, Sequence

from minbert import _native
from minbert._errors import UsageError
from minbert._inputs import Inputs, read_inputs, read_texts
from minbert._progress import Bar

if TYPE_CHECKING:
    import numpy as np
    import torch

Label = "str | int | float"
_FEW_ROWS = 100  # ranges of fewer vectors are a poor guess at those of others


def load(folder: str | os.PathLike, dtype: str | None = None, threads: int | None = None) -> Model:
    """Loads a Hugging Face folder, a run folder (then its best/) or a folder of sentence-transformers.

    dtype: "f32", "bf16" or "int8"; default: what the folder says. threads: default MINBERT_THREADS, else as many as there are cores.
    Raises minbert.Error.
    """
    return Model(folder, dtype=dtype, threads=threads)


class Model:
    """A loaded model. Any number of threads may use it at once: their texts are computed together, without the interpreter's lock."""

    def __init__(self, folder: str | os.PathLike, dtype: str | None = None, threads: int | None = None):
        self._arguments = (os.path.abspath(folder), dtype, threads)
        self._native = _native.Pipeline.open(os.fspath(folder), dtype or "", threads or 0)
        self._tasks = {task.name: task for task in self._native.tasks}
        for text in self._native.warnings:
            warnings.warn(text, stacklevel=3)

    def __reduce__(self) -> tuple:
        return (Model, self._arguments)

    def __repr__(self) -> str:
        return f"minbert.Model({self._arguments[0]!r}, dtype={self.dtype!r}, tasks={self.tasks})"

    # ---- what it is ----

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that predict, in the order of the folder."""
        return list(self._tasks)

    @property
    def config(self) -> dict[str, Any]:
        """The sizes of the encoder, under the names of transformers' BertConfig."""
        return json.loads(self._native.config)

    @property
    def folder(self) -> pathlib.Path:
        """The folder of config.json and the weights."""
        return pathlib.Path(self._native.folder)

    @property
    def dtype(self) -> str:
        """What it computes in: "f32", "bf16" or "int8"."""
        return self._native.dtype

    @property
    def threads(self) -> int:
        """Threads for maths."""
        return self._native.threads

    @property
    def max_seq_length(self) -> int:
        """Tokens after which texts are cut."""
        return self._native.max_length

    def get_embedding_dimension(self) -> int:
        """Numbers of a vector of encode()."""
        return self._native.dimension

    get_sentence_embedding_dimension = get_embedding_dimension

    def task_info(self, task: str | None = None) -> _native.TaskInfo:
        """The task's name, type, is_pair, is_regression, classes and metric. `task` may be left out if there is one."""
        return self._native.tasks[self._native.find_task(task or "")]

    def classes_(self, task: str | None = None) -> np.ndarray:
        """(classes,): names as str, or numbers as int, in the order of predict_proba's columns."""
        import numpy as np

        return np.array(self._labels(self.task_info(task)))

    @staticmethod
    def _labels(info: _native.TaskInfo) -> list:
        return list(info.classes) if info.has_names else [int(name) for name in info.classes]

    # ---- vectors ----

    def encode(
        self,
        sentences: str | Sequence[str] | np.ndarray,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        normalize_embeddings: bool | None = None,
        precision: str = "float32",
        truncate_dim: int | None = None,
        pool: str | None = None,
        convert_to_numpy: bool = True,
        prompt: str | None = None,
        prompt_name: str | None = None,
        convert_to_tensor: bool = False,
    ) -> np.ndarray | list[np.ndarray] | torch.Tensor:
        """Sentence vectors: (d,) for a str, (n, d) for a list of n, float32 unless `precision` says otherwise.

        As the folder's sentence-transformers modules and default prompt say, or with the mean of the token vectors if it has none.
        normalize_embeddings: True makes unit vectors. truncate_dim: keep the first numbers only. pool: "mean", "cls", ..., the pooled
        vectors alone. precision: "float32", "int8", "uint8" (d each), "binary", "ubinary" (d / 8 bytes). convert_to_numpy: False gives a
        list of (d,). convert_to_tensor: True gives a torch.Tensor. batch_size has no effect: rows are packed by tokens. Raises
        minbert.Error.
        """
        del batch_size
        inputs = read_texts(sentences)
        unit = True if normalize_embeddings else None
        dimensions = truncate_dim if unit else None  # a folder's own unit vectors are cut after they are made, and not made unit again
        rows = self._with_bar(
            inputs, show_progress_bar,
            lambda progress: self._native.embed(inputs.texts, progress, pool=pool, normalize=unit, dimensions=dimensions, prompt=prompt,
                                                prompt_name=prompt_name))
        if truncate_dim is not None and not unit:
            if not isinstance(truncate_dim, int) or not 1 <= truncate_dim <= rows.shape[1]:
                raise UsageError(f"expected a whole number from 1 to {rows.shape[1]}, got {truncate_dim!r}", place="truncate_dim")
            rows = rows[:, :truncate_dim].copy()
        rows = self._quantize(rows, precision)
        if convert_to_tensor:
            import torch

            tensor = torch.from_numpy(rows)
            return tensor[0] if inputs.single else tensor
        if inputs.single:
            return rows[0]
        return rows if convert_to_numpy else list(rows)

    def encode_query(self, sentences: str | Sequence[str] | np.ndarray, **options: Any) -> np.ndarray | list[np.ndarray] | torch.Tensor:
        """encode() with the folder's prompt "query", if it has one and `options` name no other."""
        return self._encode_with(("query",), sentences, options)

    def encode_document(self, sentences: str | Sequence[str] | np.ndarray, **options: Any) -> np.ndarray | list[np.ndarray] | torch.Tensor:
        """encode() with the folder's prompt "document", "passage" or "corpus", if it has one and `options` name no other."""
        return self._encode_with(("document", "passage", "corpus"), sentences, options)

    def _encode_with(self, names: tuple[str, ...], sentences: Any, options: dict[str, Any]) -> Any:
        name = next((name for name in names if name in self.prompts), None)
        if name is not None and options.get("prompt") is None and options.get("prompt_name") is None:
            options = options | {"prompt_name": name}
        return self.encode(sentences, **options)

    @staticmethod
    def _quantize(rows: np.ndarray, precision: str) -> np.ndarray:
        if precision == "float32":
            return rows
        if precision in ("int8", "uint8") and len(rows) < _FEW_ROWS:
            warnings.warn(f"the ranges of {precision} vectors come from {len(rows)} of them; other texts' vectors would have others",
                          stacklevel=4)
        return _native.quantize(rows, str(precision))

    def similarity(self, a: Any, b: Any) -> np.ndarray:
        """Scores (n, m) of all vectors a (n, d) with all vectors b (m, d), by the folder's similarity function, else by cosine."""
        return self._similarity(a, b, pairwise=False)

    def similarity_pairwise(self, a: Any, b: Any) -> np.ndarray:
        """Scores (n,) of each vector of a (n, d) with the one of b (n, d) at its place."""
        return self._similarity(a, b, pairwise=True)

    @property
    def similarity_fn_name(self) -> str:
        """"cosine", "dot", "euclidean" or "manhattan", as config_sentence_transformers.json says, else "cosine"."""
        return self._sentence_settings().get("similarity_fn_name") or "cosine"

    @property
    def prompts(self) -> dict[str, str]:
        """The folder's prompts by name, as config_sentence_transformers.json says."""
        return self._sentence_settings().get("prompts") or {}

    def _sentence_settings(self) -> dict[str, Any]:
        for folder in (self.folder, self.folder.parent):
            file = folder / "config_sentence_transformers.json"
            if file.is_file() and (folder / "modules.json").is_file():
                return json.loads(file.read_text(encoding="utf-8"))
        return {}

    def _similarity(self, a: Any, b: Any, pairwise: bool) -> np.ndarray:
        import numpy as np

        a, b = (np.atleast_2d(np.asarray(x, dtype=np.float32)) for x in (a, b))
        name = self.similarity_fn_name
        if name in ("cosine", "cos_sim"):
            a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
        if name in ("cosine", "cos_sim", "dot"):
            return np.einsum("nd,nd->n", a, b) if pairwise else a @ b.T
        order = {"euclidean": 2, "manhattan": 1}[name]
        if pairwise:
            return -np.linalg.norm(a - b, ord=order, axis=1)
        return np.stack([-np.linalg.norm(row - b, ord=order, axis=1) for row in a])

    # ---- labels ----

    def predict(self, inputs: Any, task: str | None = None, show_progress_bar: bool | None = None) -> list | str | int | float:
        """The label of each input: a list of names, ints or floats, or of lists of a multi_label task; one label for one text or tuple.

        inputs: texts, or pairs of texts (tuples, or an (n, 2) array), as the task reads them. `task` may be left out if there is one.
        """
        read = read_inputs(inputs)
        info = self.task_info(task)
        values, _, sets = self._answers(read, info, show_progress_bar)
        labels = values.tolist()
        names = self._labels(info)
        if sets is not None:
            labels = [[names[k] for k in classes] for classes in sets]
        elif not info.is_regression:
            labels = [names[int(value)] for value in labels]
        return labels[0] if read.single else labels

    def predict_proba(self, inputs: Any, task: str | None = None, show_progress_bar: bool | None = None) -> np.ndarray:
        """Probabilities (n, classes) float64, with columns in the order of classes_(task); (classes,) for one text or tuple."""
        read = read_inputs(inputs)
        info = self.task_info(task)
        if info.is_regression:
            raise UsageError(f'expected a task with classes, "{info.name}" gives numbers', place="task")
        _, probs, _ = self._answers(read, info, show_progress_bar)
        return probs[0] if read.single else probs

    def analyze(self, inputs: Any, tasks: Sequence[str] | None = None, show_progress_bar: bool | None = None) -> list[dict] | dict:
        """All tasks that fit each input, in one pass of the encoder: a list of {task: {"label", "score", "probs"} or {"value"}}.

        Pairs get the tasks of pairs, other inputs those of single texts; `tasks` names those that are wanted. `probs` is {class: number}.
        A multi_label task has "labels", a list, instead of "label".
        """
        read = read_inputs(inputs)
        infos = self._native.tasks
        answers = self._with_bar(
            read, show_progress_bar, lambda progress: self._native.analyze(read.texts, read.pairs, list(tasks or []), progress))
        out = []
        for of_input in answers:
            row = {}
            for index, value, classes, probs in of_input:
                info = infos[index]
                names = self._labels(info)
                chosen = [names[k] for k in classes]
                if info.is_regression:
                    row[info.name] = {"value": value}
                elif info.is_multi_label:
                    row[info.name] = {"labels": chosen, "score": max(probs), "probs": dict(zip(names, probs))}
                else:
                    row[info.name] = {"label": chosen[0], "score": probs[classes[0]], "probs": dict(zip(names, probs))}
            out.append(row)
        return out[0] if read.single else out

    def rank(self, query: str, documents: Sequence[str], top_k: int | None = None, return_documents: bool = False,
             task: str | None = None) -> list[dict]:
        """The documents by falling score: [{"corpus_id", "score", "text"?}], as CrossEncoder.rank.

        The score is the number, or the probability of class 1, of the pair task; if none is named and the model has not just one that
        gives one number, the cosine of the sentence vectors.
        """
        if top_k is not None and top_k < 0:
            raise UsageError(f"expected 0 or more, got {top_k}", place="top_k")
        texts = read_texts(documents).texts
        ranked = self._native.rank(query, texts, task or "", top_k)
        return [{"corpus_id": i, "score": score, **({"text": texts[i]} if return_documents else {})} for i, score in ranked]

    def tokenize(self, texts: str | Sequence[str], pairs: str | Sequence[str] | None = None, max_length: int | None = None) -> Any:
        """{"ids", "tokens", "type_ids", "offsets"} of each text (or pair), as `minbert tokenize --json`; one dict for a str.

        Offsets are [start, end) in characters of the text, or of its own text in a pair. max_length counts [CLS] and [SEP].
        """
        read = read_texts(texts)
        second = None if pairs is None else read_texts(pairs).texts
        names = ("ids", "tokens", "type_ids", "offsets")
        rows = [dict(zip(names, row)) for row in self._native.tokenize(read.texts, second, max_length or 0)]
        return rows[0] if read.single else rows

    # ---- shared ----

    def _answers(self, read: Inputs, info: _native.TaskInfo, show: bool | None) -> tuple:
        return self._with_bar(read, show, lambda progress: self._native.predict(info.name, read.texts, read.pairs, progress))

    @staticmethod
    def _with_bar(read: Inputs, show: bool | None, work: Any) -> Any:
        if not show:
            return work(None)
        with Bar(len(read.texts)) as bar:
            return work(bar.show)
