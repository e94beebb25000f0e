"""What the CPU can do."""


def get_cpu_capability() -> str:
    """"NATIVE": kernels are compiled for the CPU they run on."""
    return "NATIVE"
