"""Grapheme clusters as characters: splitting, drawing, lengths, pieces of names, bytes and looks."""

import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import (
    Constraints,
    Draft,
    Kernels,
    ModelConfig,
    ModelRegistry,
    NameGenerator,
    OptionError,
    SamplingOptions,
    UnknownCharacter,
    Vocabulary,
)
from models.inference import AS_DRAWN, CSV, JSON_LIST, NDJSON, TEXT, BlendPredictor, Form, NameStream
from models.inference.keyword_filter import Automaton, Keywords, find
from models.spelling import clusters, normalize
from models.store.checkpoint import load_checkpoint
from models.store.publishing import draft_generator
from tests.conftest import draft_of, untrained

# Made up: syllables with signs, conjuncts, two signs in a row, a virama at an end, a blank and a hyphen.
LISTED = ("किरा", "क्षमो", "मीनाक्", "षनिरा", "ना-मि", "रो मी", "नींका", "क्मारि", "मोकिष", "राना")
BLOCK = "कखगचमरष"
SIGNS = "ािीुेोंँः"


def letters_of(text: str) -> list[str]:
    """The clusters of Devanagari as a regular expression, after rule GB9c of the annex: viramas between consonants."""
    between = "[ुेंँ\u094d]*\u094d[ुेंँ\u094d]*"
    return re.findall(f"(?:[क-ह](?:{between}[क-ह])*|.)[{SIGNS}\u094d]*", text)


def clustered(kernels: Kernels, names: tuple[str, ...] = LISTED, architecture: str = "lstm") -> NameGenerator:
    return draft_generator(clustered_draft(names, architecture), kernels)


def clustered_draft(names: tuple[str, ...] = LISTED, architecture: str = "lstm") -> Draft:
    vocabulary = Vocabulary.of_clusters(names)
    config = ModelConfig(architecture="lstm", block_size=64, n_embd=5, n_hidden=8)
    if architecture == "bigram":
        config = ModelConfig(architecture="bigram", block_size=1)
    draft = draft_of(untrained(config, len(vocabulary)), names)
    return replace(draft, vocabulary=vocabulary)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kira", ["k", "i", "r", "a"]),
        ("e\u0323\u0301le", ["e\u0323\u0301", "l", "e"]),
        ("क्षत्रिय", ["क्ष", "त्रि", "य"]),
        ("क्\u200dष", ["क्\u200dष"]),
        ("क्\u200cष", ["क्\u200c", "ष"]),
        ("क्अ", ["क्", "अ"]),
        ("கண்ணன்", ["க", "ண்", "ண", "ன்"]),
        ("নীলাক্ষী", ["নী", "লা", "ক্ষী"]),
        ("ณัฐำ", ["ณั", "ฐำ"]),
        ("သူဇာ", ["သူ", "ဇာ"]),
        ("សុខា", ["សុ", "ខា"]),
        ("\u1112\u1161\u11abna", ["\u1112\u1161\u11ab", "n", "a"]),
        ("ि", ["ि"]),
        ("", []),
    ],
)
def test_clusters_are_what_a_reader_counts(text: str, expected: list[str]) -> None:
    assert clusters(text) == expected


@given(st.text(BLOCK + "अ" + SIGNS + "\u094d -a", max_size=12))
def test_clusters_agree_with_a_regular_expression(text: str) -> None:
    assert clusters(text) == letters_of(text)


@given(st.text(max_size=12))
def test_clusters_join_to_the_text_and_begin_with_no_mark(text: str) -> None:
    found = clusters(text)
    assert "".join(found) == text
    assert not any(unicodedata.category(cluster[0])[0] == "M" for cluster in found[1:])
    assert [c for cluster in found for c in clusters(cluster)] == found


def test_alphabet_of_a_list_without_marks_has_code_points_only() -> None:
    names = ["kira", "été", "가나", "st. ives"]
    assert Vocabulary.of_clusters(names) == Vocabulary.of(names)
    assert not Vocabulary.of_clusters(names).clustered


@given(st.lists(st.text(BLOCK + SIGNS + "\u094d-", min_size=1, max_size=6), min_size=1, max_size=8))
def test_clustered_alphabets_spell_their_names(names: list[str]) -> None:
    vocabulary = Vocabulary.of_clusters(names)
    for name in names:
        indices = vocabulary.encode(name)
        assert [vocabulary.itos[i] for i in indices] == (clusters(name) if vocabulary.clustered else list(name))
        assert vocabulary.decode(indices) == name


def test_unknown_cluster_is_named_though_its_parts_are_known() -> None:
    vocabulary = Vocabulary.of_clusters(["क", "मि", "क्", "ष"])
    with pytest.raises(UnknownCharacter, match="'कि'"):
        vocabulary.encode("कि")
    with pytest.raises(UnknownCharacter, match="'क्ष'"):
        vocabulary.encode("क्ष")


@pytest.mark.parametrize("architecture", ["lstm", "bigram"])
@pytest.mark.parametrize("unique", [True, False])
def test_drawn_names_have_whole_clusters_of_the_list(kernels: Kernels, architecture: str, unique: bool) -> None:
    generator = clustered(kernels, architecture=architecture)
    known = set(generator.vocabulary.characters)
    options = SamplingOptions(min_length=3)
    names = generator.generate(300, seed=1, options=options, constraints=Constraints(6, unique=unique)).names
    assert len(names) == 300
    for name in names:
        assert 3 <= len(clusters(name)) <= 6
        assert known.issuperset(clusters(name))
    assert (len(set(names)) == 300) == unique


def test_candidate_whose_characters_join_is_refused(kernels: Kernels) -> None:
    generator = clustered(kernels, ("क्", "षक्", "षष"), "bigram")
    assert generator.vocabulary.joins
    found = generator.generate(400, seed=3, constraints=Constraints(unique=False), max_attempts=400)
    drawn = generator.generate(400, seed=3, constraints=AS_DRAWN, max_attempts=400)
    codes, lengths = generator.prepare().draw(3, 0, 400)
    texts = generator.prepare().texts(codes, lengths)
    joined = [t for t, n in zip(texts, lengths.tolist(), strict=True) if t is not None and len(clusters(t)) != n]
    assert joined
    assert found.refused["pattern"] == len(joined)
    assert drawn.names == found.names == [t for t in texts if t is not None and t not in joined]


def test_bare_mark_of_the_list_is_never_drawn(kernels: Kernels) -> None:
    generator = clustered(kernels, ("िमा", "मी", "रामि"), "bigram")
    [bare] = generator.vocabulary.bare
    assert generator.vocabulary.itos[bare] == "ि"
    codes, _ = generator.prepare().draw(0, 0, 500)
    assert bare not in codes
    assert generator.score(["िमा"])[0].in_training


def test_question_mark_is_one_cluster(kernels: Kernels) -> None:
    generator = clustered(kernels)
    names = generator.generate(20, seed=2, constraints=Constraints(pattern="??*रा")).names
    assert names
    assert all(len(clusters(name)) >= 3 and clusters(name)[-1] == "रा" for name in names)
    two = generator.generate(20, seed=2, constraints=Constraints(pattern="??")).names
    assert two
    assert {len(clusters(name)) for name in two} == {2}
    assert max(map(len, two)) > 2


def test_pieces_of_names_are_compared_cluster_by_cluster(kernels: Kernels) -> None:
    """क is no end of क्ष's letters: brute force over the candidates, cluster by cluster."""
    generator = clustered(kernels, architecture="bigram")
    drawn = generator.generate(3000, seed=5, constraints=Constraints(unique=False), max_attempts=3000).names
    for rules in (Constraints(ends_with="ष", unique=False), Constraints(contains="मो", unique=False)):
        found = generator.generate(3000, seed=5, constraints=rules, max_attempts=3000).names
        expected = []
        for name in drawn:
            parts = clusters(name)
            if parts[-1] == rules.ends_with or rules.contains in parts:
                expected.append(name)
        assert found == expected != []


def test_prefix_lengths_and_unknown_pieces(kernels: Kernels) -> None:
    generator = clustered(kernels)
    names = generator.generate(10, seed=1, options=SamplingOptions(prefix="क्ष")).names
    assert {clusters(name)[0] for name in names} == {"क्ष"}
    generator.prepare(SamplingOptions(prefix="क्षमो"), Constraints(2))
    with pytest.raises(OptionError, match="prefix has 2 characters, above max_length, which is 1"):
        generator.prepare(SamplingOptions(prefix="क्षमो"), Constraints(1))
    for rules in (Constraints(contains="क"), Constraints(pattern="*मं"), Constraints(pattern="?ि")):
        with pytest.raises(UnknownCharacter):
            generator.prepare(constraints=rules)
    assert generator.longest == max(len(clusters(name)) for name in LISTED)


def test_excluded_letter_excludes_every_cluster_with_it(kernels: Kernels) -> None:
    names = clustered(kernels).generate(20, seed=1, options=SamplingOptions(excludes="रि")).names
    assert len(names) == 20
    assert not set("".join(names)) & set("रि")
    with pytest.raises(OptionError, match="all characters"):
        clustered(kernels).prepare(SamplingOptions(excludes="".join(LISTED)))


def test_written_forms_equal_the_names(kernels: Kernels) -> None:
    """A quotation mark may carry an accent, and a capital its marks."""
    generator = clustered(kernels, ("a\u0331b", 'x"\u0331', "c\u0331a\u0331"), "bigram")
    sampler = generator.prepare()

    def written(form: Form) -> str:
        stream = NameStream(sampler, 300, seed=4, max_attempts=300)
        out = b""
        while not stream.finished:
            out += stream.next_bytes(sampler.writer(form, "title"))
        return out.decode()

    lines = written(TEXT).split("\n")[:-1]
    assert any("A\u0331" in line for line in lines)
    assert any('"\u0331' in line for line in lines)
    assert [normalize(line) for line in lines] == generator.generate(300, seed=4, max_attempts=300).names
    assert [json.loads(line)["name"] for line in written(NDJSON).splitlines()] == lines
    assert json.loads(f"[{written(JSON_LIST)[:-1]}]") == lines
    quoted = [line[1:-1].replace('""', '"') if line[0] == '"' else line for line in written(CSV).split("\r\n")[:-1]]
    assert [line.removesuffix(",") for line in quoted] == [line.removesuffix(",") for line in lines]


def test_scores_sum_over_clusters(kernels: Kernels) -> None:
    generator = clustered(kernels)
    [found] = generator.score(["क्षमो"])
    assert [step.character for step in found.characters] == ["क्ष", "मो", "."]
    assert found.in_training
    following = {each.character: each.probability for each in generator.next_characters("क्ष")}
    assert set(following) == set(generator.vocabulary.itos)
    assert np.log(following["मो"]) == pytest.approx(found.characters[1].log_prob, abs=0.01)


def test_novel_names_are_in_no_list(kernels: Kernels) -> None:
    generator = clustered(kernels, ("मि", "राम", "रामि"), "bigram")
    assert not generator.vocabulary.joins
    drawn = generator.generate(300, seed=1, constraints=Constraints(), max_attempts=300).names
    found = generator.generate(300, seed=1, constraints=Constraints(novel=True), max_attempts=300).names
    assert found == [name for name in drawn if name not in generator.names] != drawn


def test_keywords_are_found_inside_clusters() -> None:
    vocabulary = Vocabulary.of_clusters(("रामि", "मोरा", "क्ष"))
    names = ("रामि", "मोरा", "क्ष")
    codes = np.zeros((3, 4), np.int32)
    for row, name in zip(codes, names, strict=True):
        row[: len(clusters(name))] = vocabulary.encode(name)
    lengths = np.array([len(clusters(name)) for name in names], np.int32)
    words = Keywords(frozenset({"मोरा"}), frozenset({"ामि"}), frozenset())
    assert Automaton(words, vocabulary, find).mark(codes, lengths).tolist() == [True, True, False]


def test_blend_draws_clusters_of_either_list(kernels: Kernels) -> None:
    mine, other = clustered(kernels), draft_generator(draft_of(untrained(CONFIG, 4), ("aba", "bac")), kernels)
    predictor = BlendPredictor([mine.predictor, other.predictor], kernels)
    blend = NameGenerator(predictor, mine.names | other.names, 6, kernels, (0.5, 0.5))
    names = blend.generate(100, seed=1).names
    assert len(names) == 100
    known = {*mine.vocabulary.characters, *"abc"}
    assert all(known.issuperset(clusters(name)) for name in names)


CONFIG = ModelConfig(architecture="bigram", block_size=1)


def test_published_version_is_of_format_2_and_draws_the_same(kernels: Kernels, registry: ModelRegistry) -> None:
    draft = clustered_draft()
    reference = registry.publish(draft).reference
    version = registry.resolve(None, reference)
    checkpoint = load_checkpoint(Path(version.folder))
    assert checkpoint.manifest.schema_number == 2
    assert checkpoint.manifest.vocabulary == draft.vocabulary.characters
    assert version.generator.longest == 3
    assert version.generator.generate(20, seed=9) == draft_generator(draft, kernels).generate(20, seed=9)
