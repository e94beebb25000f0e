"""`GradScaler` under its older name and arguments."""

from numgrad import amp


class GradScaler(amp.GradScaler):
    """`numgrad.amp.GradScaler`; as there, nothing is scaled."""

    def __init__(
        self, init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5, growth_interval: int = 2000,
        enabled: bool = True,
    ):  # fmt: skip
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
