"""What torch is here, and on what it can run."""

import torch

__all__ = ["torch_text"]


def torch_text() -> str:
    """`2.13.0+cpu, 1 device: cpu, 2 threads`."""
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    elif torch.backends.mps.is_available():
        devices = ["mps", "cpu"]
    built = torch.version.cuda or torch.version.hip
    with_ = f"built with {'CUDA' if torch.version.cuda else 'ROCm'} {built}" if built else "built for CPU"
    return f"{torch.__version__}, {with_}, runs on {', '.join(devices)}, {torch.get_num_threads()} threads"
