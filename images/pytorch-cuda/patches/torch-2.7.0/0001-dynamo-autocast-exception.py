"""Fails where the patch beside it is not applied: an exception that leaves `autocast` must not stop torch.compile."""

import torch

NOT_THERE = "not for these values"


def careful(x: torch.Tensor) -> torch.Tensor:
    try:
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
            raise NotImplementedError(NOT_THERE)
    except NotImplementedError:
        return x + 1


ones = torch.ones(4)
found = torch.compile(careful, backend="eager", fullgraph=True)(ones)
assert torch.equal(found, careful(ones)), found
print("an exception leaves autocast in a compiled function")
