"""Nearest centroids by matrix products: in bfloat16 where that is fast, checked in float32.

A product in bfloat16 takes half the time or less, and only few rows are so near to two centroids
that its rounding matters. Those are computed again in float32, so that the answer is float32's.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

ROWS_AT_ONCE = 4096

ROUNDING = 2.0**-9
"""The most that a number changes when it becomes a bfloat16, relative to it."""

DEVIATIONS = 4.0
"""How many standard deviations an error of a difference of two products may have."""

LEAST_DIMS = 512
"""Products of fewer numbers take so little of the time that rounding them gains nothing."""

ROWS_RECOMPUTED_AT_ONCE = {"cpu": 64, "cuda": 4096}
"""On a processor so few that rows of one neighbourhood have few candidates among them."""

ROWS_NORMED_AT_ONCE = 1024


def nearest_among(
    rows: Float[Tensor, "rows dim"], *, spherical: bool
) -> Callable[[Float[Tensor, "clusters dim"]], Int[Tensor, " rows"]]:
    """Finds each row's nearest centroid: by cosine, for rows of length one, or by distance."""
    if rows.shape[1] >= LEAST_DIMS and has_fast_bfloat16(rows.device):
        rounded = RoundedRows(rows)
        return lambda centroids: rounded.nearest(centroids, spherical=spherical)
    return lambda centroids: torch.cat(
        [_fit(part, centroids, spherical).argmax(dim=1) for part in rows.split(ROWS_AT_ONCE)]
    )


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are faster than in float32, rather than emulated."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


class RoundedRows:
    """Rows in bfloat16 beside the exact ones, and their products with the last centroids."""

    def __init__(self, rows: Float[Tensor, "rows dim"]) -> None:
        self.rows = rows
        self.rounded = rows.bfloat16()
        self.quartic_norms = torch.cat(
            [_quartic_norm(part) for part in rows.split(ROWS_NORMED_AT_ONCE)]
        )
        self.centroids = rows[:0]
        self.origin = rows.new_zeros(rows.shape[1])
        self.products = self.rounded[:, :0]

    def nearest(
        self, centroids: Float[Tensor, "clusters dim"], *, spherical: bool
    ) -> Int[Tensor, " rows"]:
        """As in float32, but for errors beyond `DEVIATIONS`."""
        self._multiply(centroids)
        directions = centroids - self.origin
        offsets = _offsets(directions, spherical)
        if not spherical:
            offsets = offsets + directions @ self.origin
        # Rounding makes an error of at most ROUNDING, and of about 0.4 of it on the mean square. Of
        # the difference of two sums that is 1.15 * ROUNDING * sqrt(sum(row^2 * direction^2)) at
        # most, each factor being rounded on its own; the root is bounded by the quartic norms. The
        # two sums are themselves rounded to bfloat16.
        errors_of_sums = 1.15 * _quartic_norm(directions).max() * self.quartic_norms
        labels, doubtful, candidates = [], [], []
        for part, errors in zip(
            self.products.split(ROWS_AT_ONCE), errors_of_sums.split(ROWS_AT_ONCE), strict=True
        ):
            products = part.float()
            fit = products - offsets
            best = fit.topk(min(2, len(centroids)), dim=1)
            errors_of_results = 0.6 * products.gather(1, best.indices).abs().amax(dim=1)
            tolerance = DEVIATIONS * ROUNDING * (errors + errors_of_results)
            labels.append(best.indices[:, 0])
            in_doubt = best.values[:, 0] - best.values[:, -1] <= tolerance
            doubtful.append(in_doubt)
            least = (best.values[:, 0] - tolerance)[in_doubt]
            candidates.append(fit[in_doubt] >= least[:, None])
        nearest = torch.cat(labels)
        self._decide(
            nearest,
            torch.cat(doubtful).nonzero().flatten(),
            torch.cat(candidates),
            centroids,
            spherical,
        )
        return nearest

    def _decide(
        self,
        nearest: Int[Tensor, " rows"],
        doubtful: Int[Tensor, " doubtful"],
        candidates: Bool[Tensor, "doubtful clusters"],
        centroids: Float[Tensor, "clusters dim"],
        spherical: bool,
    ) -> None:
        """Compare the candidates of the doubtful rows in float32; neighbours share theirs."""
        together = nearest[doubtful].argsort(stable=True)
        at_once = ROWS_RECOMPUTED_AT_ONCE[self.rows.device.type]
        for start in range(0, len(together), at_once):
            some = together[start : start + at_once]
            rows = doubtful[some]
            compared = candidates[some].any(dim=0).nonzero().flatten()
            best = _fit(self.rows[rows], centroids[compared], spherical).argmax(dim=1)
            nearest[rows] = compared[best]

    def _multiply(self, centroids: Tensor) -> None:
        """Bring the products up to date: those of centroids that did not move are."""
        if centroids.shape == self.centroids.shape:
            moved = (centroids != self.centroids).any(dim=1).nonzero().flatten()
        else:
            # Less a common vector, which changes no comparison: small numbers are rounded less.
            self.origin = centroids.mean(dim=0)
            self.products = self.rounded.new_empty(len(self.rows), len(centroids))
            moved = torch.arange(len(centroids), device=centroids.device)
        directions = (centroids[moved] - self.origin).bfloat16().T
        if len(moved):
            for part, products in zip(
                self.rounded.split(ROWS_AT_ONCE), self.products.split(ROWS_AT_ONCE), strict=True
            ):
                products[:, moved] = part @ directions
        self.centroids = centroids


def _fit(rows: Tensor, centroids: Tensor, spherical: bool) -> Float[Tensor, "rows clusters"]:
    """How well each centroid fits, up to a constant for each row: higher is better."""
    return rows @ centroids.T - _offsets(centroids, spherical)


def _offsets(centroids: Tensor, spherical: bool) -> Float[Tensor, " clusters"]:
    half_squares = centroids.square().sum(dim=1) / 2
    return torch.zeros_like(half_squares) if spherical else half_squares


def _quartic_norm(rows: Tensor) -> Float[Tensor, " rows"]:
    return rows.square().square_().sum(dim=1).sqrt().sqrt()
