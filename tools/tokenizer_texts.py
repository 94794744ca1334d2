"""Difficult texts for a tokenizer: sentences in many scripts, and seeded random texts unlike any sentence."""
import itertools
import random

import tokenizers

SENTENCES = [
    "The kettle sings before the water boils, and nobody in the kitchen minds.",
    "Two clocks in one hall never agree; we set ours by the slower one, out of kindness.",
    "Unbelievably, the lighthouse-keeper's re-reading of yesterday's newspapers took 3.5 hours (or 210 minutes).",
    "\"Isn't it odd?\" she asked. \"You'd have thought they'd've noticed the $12.40 missing!\"",
    "E-mail me at nobody@example.org, or see https://example.org/a/b?c=d&e=%20f#top ... thanks :-)",
    "NASA, UNESCO and the BBC disagree; so do McKenzie, O'Brien and van der Berg.",
    "It was -- as far as anyone could tell -- the 2nd-best film of 1994\u20131996, \u201ctwice\u201d as good as the first\u2026",
    "Le garçon naïf a mangé une crème brûlée à l'hôtel, près de la forêt où l'on fêtait Noël.",
    "Größe und Maße: Übermäßig viele Äpfel fielen über die Straße, WEISSE ẞ wie weiße ß.",
    "¿Dónde está el niño? ¡Mañana traerá piñas y pingüinos al jardín!",
    "Pchnąć w tę łódź jeża lub ośm skrzyń fig; źdźbło ćmy.",
    "İstanbul'da ılık bir IŞIK, Iğdır'da ise ağır bir gökyüzü.",
    "Tiếng Việt có rất nhiều dấu: ặ, ễ, ự, ổ và những chữ khác nữa.",
    "Ο Οδυσσέας ταξίδευε σε ΘΑΛΑΣΣΕΣ άγνωστες· ὦ φίλε, ᾧ ἔοικεν;",
    "Съешь ещё этих мягких французских булок, да выпей чаю. Її ґанок і йод.",
    "שָׁלוֹם לְכֻלָּם, הַיּוֹם יוֹם יָפֶה",
    "السَّلَامُ عَلَيْكُمْ، كَيْفَ الحال؟ ١٢٣",
    "हिन्दी में लिखा हुआ एक छोटा वाक्य, क़लम और ज़मीन के साथ।",
    "ภาษาไทยไม่มีช่องว่างระหว่างคำ น้ำและที่นี่",
    "རྒྱལ་པོའི་ཁང་པ་ནི་ཆེན་པོ་ཡིན།",
    "東京タワーは高いです。ガラスとパパ、カ\u3099とハ\u309a。",
    "我们明天去北京，好吗？二〇二四年！",
    "한국어 문장은 닭과 값, 그리고 \u1112\u1161\u11ab\u1100\u116e\u11a8 자모로 이루어진다.",
    "ﬁne ﬂuﬀy ＦＵＬＬ ｗｉｄｔｈ ｶﾞ ½ ① Ⅷ ㎏ ℃ № ™ Å K Ω",
    "👩\u200d👩\u200d👧 went 🏃🏽\u200d♀\ufe0f to 🇫🇷 with ❤\ufe0f and 1\ufe0f\u20e3.",
    "x\u00b2 + y\u00b2 \u2260 z\u00b2 \u21d2 \u2200\u03b5>0 \u2203\u03b4: |f(x)\u2212f(a)|<\u03b5 \u2226 \u226e \u220c",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝐁𝐨𝐥𝐝 𐐀𐐨 𒀀 𓀀 𝅗𝅥 𝅘𝅥𝅮 𑄮 \U000e0041\U000e007f",
    "",
    " \t ",
    "a",
    "[CLS] a [SEP] [MASK][PAD] [UNK]. [mask] [ MASK ] [MASK [[SEP]] ##ing # #",
]

# Code points with special rules in the reference, and samples of all others: (weight, first, last).
RANGES = [
    (30, 0x61, 0x7A), (8, 0x41, 0x5A), (6, 0x20, 0x7F), (3, 0x00, 0xA0), (6, 0xA0, 0x17F), (4, 0x180, 0x2FF), (8, 0x300, 0x36F),
    (3, 0x370, 0x52F), (3, 0x590, 0x6FF), (2, 0x700, 0x8FF), (3, 0x900, 0xDFF), (2, 0xE00, 0x0FFF), (3, 0x1000, 0x137F),
    (2, 0x1380, 0x1CFF), (1, 0x1D00, 0x1DBF), (2, 0x1DC0, 0x1DFF), (4, 0x1E00, 0x1FFF), (4, 0x2000, 0x206F), (2, 0x2070, 0x20CF),
    (2, 0x20D0, 0x20FF), (2, 0x2100, 0x2BFF), (2, 0x2C00, 0x2FFF), (3, 0x3000, 0x30FF), (1, 0x3100, 0x33FF), (3, 0x4E00, 0x9FFF),
    (1, 0x3400, 0x4DFF), (1, 0xA000, 0xABFF), (3, 0xAC00, 0xD7FF), (1, 0xE000, 0xF8FF), (3, 0xF900, 0xFAFF), (2, 0xFB00, 0xFDFF),
    (2, 0xFE00, 0xFEFF), (2, 0xFF00, 0xFFFF), (2, 0x10000, 0x10FFF), (2, 0x11000, 0x11FFF), (1, 0x12000, 0x1CFFF),
    (2, 0x1D000, 0x1D1FF), (1, 0x1D200, 0x1E0FF), (2, 0x1E100, 0x1EFFF), (1, 0x1F000, 0x1FFFF), (1, 0x20000, 0x2FFFF),
    (2, 0x2F800, 0x2FA1F), (1, 0x30000, 0xDFFFF), (1, 0xE0000, 0xE01FF), (1, 0xE0200, 0x10FFFF),
]  # fmt: skip
WEIGHTS = [weight for weight, _, _ in RANGES]
MARKS = [
    chr(c)
    for c in (*range(0x300, 0x370), *range(0x591, 0x5C8), *range(0x64B, 0x656), 0x93C, 0x94D, 0xE38, 0xE48, 0xEB8, 0xF71, 0xF72)
    + (0x302A, 0x3099, 0x1D165, 0x1D16D)
]
SPACES = [
    " ", " ", " ", "  ", "\t", "\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\xa0", "\u1680", "\u180e", "\u2003", "\u200b", "\u2028",
    "\u2029", "\u202f", "\u3000", "\ufeff",
]  # fmt: skip
SPECIALS = ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "[mask]", "[MAS", "[[MASK]]", "MASK]", "##", "##a"]
# Bytes that are not UTF-8: lone and truncated bytes, overlong forms, surrogates, too large code points.
INVALID = [
    b"\x80", b"\xbf\xbf", b"\xc0\xaf", b"\xc3", b"\xe2\x82", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xf0\x9f\x98",
    b"\xf0\x80\x80\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\xf1\x80",
    b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41",
]  # fmt: skip
WORDS = [word for sentence in SENTENCES for word in sentence.split()]


def character(rng):
    _, first, last = rng.choices(RANGES, WEIGHTS)[0]
    code = rng.randint(first, last)
    return chr(code) if not 0xD800 <= code < 0xE000 else "\ufffd"


def with_marks(rng, text):
    return "".join(c + "".join(rng.choices(MARKS, k=rng.randint(0, 4))) for c in text)


def long_word(rng):
    """A word of about 100 characters, the longest that a tokenizer looks up, or of far more, in characters of one to four bytes."""
    alphabet = rng.choice(["a", "ab", "é", "e\u0301", "𐐨", "한", "ﬁ", "中", "İ"])
    return "".join(rng.choices(alphabet, k=rng.choice([50, 98, 99, 100, 101, 102, 200, 3000])))


def part(rng):
    kind = rng.randrange(12)
    if kind < 4:
        return "".join(character(rng) for _ in range(rng.randint(1, 8)))
    if kind < 7:
        word = rng.choice(WORDS)
        return rng.choice([word, word.upper(), word.lower(), word.title(), word[: rng.randint(0, len(word))], word + character(rng)])
    if kind == 7:
        return with_marks(rng, rng.choice(WORDS)[:4])
    if kind == 8:
        return rng.choice(SPECIALS) + rng.choice(["", "", *MARKS])
    if kind == 9:
        return rng.choice(SPACES) * rng.choice([1, 1, 3])
    if kind == 10:
        return "".join(rng.choices(MARKS, k=rng.randint(1, 6)))
    return long_word(rng) if rng.random() < 0.05 else rng.choice(WORDS)


def fuzz_text(rng):
    """A text as bytes; one text in eight has bytes that are not UTF-8."""
    glue = rng.choice(["", " ", " "])
    text = glue.join(part(rng) for _ in range(rng.randint(1, 12))).encode()
    if rng.randrange(8) == 0:
        for _ in range(rng.randint(1, 4)):
            at = rng.randint(0, len(text))
            text = text[:at] + rng.choice(INVALID) + text[at + rng.randint(0, 2) :]
    return text


def fuzz_texts(seed, count):
    rng = random.Random(seed)
    return [fuzz_text(rng) for _ in range(count)]


def as_reference(text):
    """The bytes as Python decodes them."""
    return text.decode("utf-8", "replace")


def vocabulary_of(texts):
    """A vocabulary of every character that any normaliser makes of the texts, so that none becomes [UNK], and of parts of words."""
    characters = set()
    for strip, lower in itertools.product((False, True), repeat=2):
        options = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": strip, "lowercase": lower}
        normalise = tokenizers.normalizers.BertNormalizer(**options).normalize_str
        for text in texts:
            characters.update(normalise(as_reference(text)))
    kept = sorted(c for c in characters if not c.isspace())
    words = sorted({word.lower() for word in WORDS if word.isalpha()} - set(kept))
    endings = sorted({"##" + word[-n:] for word in words[::3] for n in (2, 3, 5) if len(word) > n})
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + kept + ["##" + c for c in kept] + words[::2] + endings
