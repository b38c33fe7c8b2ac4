"""Writes a Hugging Face folder of RoBERTa-base's shape with random weights, for measuring speed alone.

    python write_roberta.py --text GLUE/RTE/train.tsv --output DIR

Its byte-level BPE is trained on the given files with few enough merges that sequences come out about as long as with
RoBERTa's own vocabulary. The embedding table keeps RoBERTa's 50,265 rows.
"""

import argparse
import pathlib

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaConfig, RobertaForSequenceClassification, RobertaTokenizerFast

TOKENS = 16000
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def write_tokenizer(texts, folder):
    trained = ByteLevelBPETokenizer()
    trained.train(texts, vocab_size=TOKENS, special_tokens=SPECIAL, show_progress=False)
    trained.add_special_tokens(["<mask>"])
    vocabulary, merges = trained.save_model(str(folder))
    RobertaTokenizerFast(vocab_file=vocabulary, merges_file=merges).save_pretrained(folder, legacy_format=False)
    pathlib.Path(vocabulary).unlink(), pathlib.Path(merges).unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", nargs="+", required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--layers", type=int, default=12)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_tokenizer(arguments.text, arguments.output)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5,
        num_hidden_layers=arguments.layers,
    )
    RobertaForSequenceClassification(config).save_pretrained(arguments.output)
    for path in arguments.output.iterdir():
        path.chmod(0o644)


if __name__ == "__main__":
    main()
