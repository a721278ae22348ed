"""SegFormer's weights as Hugging Face's transformers name them."""

import re

import torch

FIRST = "segformer.encoder.patch_embeddings.0.proj.weight"
"""The first tensor's name there."""

RENAMED = (
    (r"segformer\.encoder\.patch_embeddings\.(\d)\.layer_norm\.", r"encoder.patch_embed{+}.norm."),
    (r"segformer\.encoder\.patch_embeddings\.(\d)\.", r"encoder.patch_embed{+}."),
    (r"segformer\.encoder\.layer_norm\.(\d)\.", r"encoder.norm{+}."),
    (r"segformer\.encoder\.block\.(\d)\.", r"encoder.block{+}."),
    (r"decode_head\.linear_c\.(\d)\.proj\.", r"decoder.mlp_stage.{-}.linear."),
    (r"decode_head\.linear_fuse\.", "decoder.fuse_stage.0."),
    (r"decode_head\.batch_norm\.", "decoder.fuse_stage.1."),
    (r"decode_head\.classifier\.", "segmentation_head.0."),
)
"""Beginnings: stages count from 1 in encoders here, and from the deepest in the decoder."""

INSIDE = (
    ("attention.self.query.", "attn.q."),
    ("attention.self.kv.", "attn.kv."),
    ("attention.self.sr.", "attn.sr."),
    ("attention.self.layer_norm.", "attn.norm."),
    ("attention.output.dense.", "attn.proj."),
    ("layer_norm_", "norm"),
    ("mlp.dense", "mlp.fc"),
)
"""Parts of a block."""


def renamed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights under the names of segmentation-models-pytorch; others stay as they are."""
    if FIRST not in state:
        return state
    joined = {}
    for name, tensor in state.items():
        if ".self.key." in name:
            # keys and values are one layer there
            value = state[name.replace(".self.key.", ".self.value.")]
            joined[name.replace(".self.key.", ".self.kv.")] = torch.cat((tensor, value))
        elif ".self.value." not in name:
            joined[name] = tensor
    return {rename(name): tensor for name, tensor in joined.items()}


def rename(name: str) -> str:
    """One tensor's name."""
    for pattern, replacement in RENAMED:
        match = re.match(pattern, name)
        if match:
            stage = int(match[1]) if match.groups() else 0
            start = replacement.replace("{+}", str(stage + 1)).replace("{-}", str(3 - stage))
            name = start + name[match.end() :]
            break
    for theirs, ours in INSIDE:
        name = name.replace(theirs, ours)
    return name
