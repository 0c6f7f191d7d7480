"""Sound features: a waveform becomes a log-mel spectrogram, and that becomes rows of DAVEnet.

The spectrogram is the one that AVLnet and MCN were trained on: 40 bands, 100 frames a second,
in dB below the loudest moment of the file. The network makes one row of 16 frames: row t
describes [t / 6.25, (t + 1) / 6.25) seconds. Not covered here: reading sound from files
(media.py), and sampling rates other than 16 kHz, which resizing has already brought about.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from mcn.models.davenet import FRAMES_PER_ROW, NUM_MEL, Davenet, ResDavenet

SAMPLE_RATE = 16_000
FFT_SAMPLES = 400
HOP_SAMPLES = 160
PRE_EMPHASIS = 0.97
LOWEST_HZ, HIGHEST_HZ = 20.0, 8000.0
LEAST_POWER = 1e-10
QUIETEST_DB = -80.0

ROWS_PER_SECOND = SAMPLE_RATE / HOP_SAMPLES / FRAMES_PER_ROW

FRAMES_PER_BLOCK = 6_000
"""Spectra held at a time; an hour at once would take a gigabyte."""


Silence = Literal["published", "quiet"]


def log_mel(
    waveform: Float[Tensor, " samples"], sample_rate: int, *, silence: Silence = "published"
) -> Float[Tensor, "40 frames"]:
    """Power in 40 mel bands every 10 ms, in dB relative to the file's loudest, from -80 to 0.

    Frame t is centred on sample 160 t, with zeros beyond both ends, so there are
    samples // 160 + 1 of them. As published (Harwath et al., 2018; librosa's conventions): mean
    removed, pre-emphasis, symmetric Hamming window, Slaney's mel scale and normalisation. In
    float64 for float64, else in float32, on the waveform's device.

    Args:
        waveform: Samples of one channel, floating-point numbers.
        sample_rate: Samples a second.
        silence: A file without a power above 1e-10 in any band is "published" as 0 dB throughout,
            as if it were the loudest of noises; or it is "quiet", -80 dB throughout.

    Raises:
        ValueError: If there are no samples, or not 16,000 of them a second, or something else than
            one row of floating-point numbers.
    """
    if not (
        isinstance(waveform, Tensor) and waveform.ndim == 1 and waveform.dtype.is_floating_point
    ):
        raise ValueError(
            f"a sound is wanted as a tensor of one row of floating-point numbers, and "
            f"{_described(waveform)} was given"
        )
    if sample_rate != SAMPLE_RATE:
        raise ValueError(
            f"the sound has {sample_rate} samples a second, log-mel spectrograms are made of "
            f"{SAMPLE_RATE}: take the resized video (jobs/resize.py), which has that rate"
        )
    if not len(waveform):
        raise ValueError("the sound has no samples, so it has no spectrogram")
    power = _mel_power(waveform.to(torch.promote_types(waveform.dtype, torch.float32)))
    loudest = power.max()
    if silence == "quiet" and loudest <= LEAST_POWER:
        return torch.full_like(power, QUIETEST_DB)
    loudest = loudest.clamp_min(LEAST_POWER)
    decibels = 10 * (power.clamp_min(LEAST_POWER).log10() - loudest.log10())
    return decibels.clamp_min(QUIETEST_DB)


def _described(given: object) -> str:
    if isinstance(given, Tensor):
        return (
            f"a tensor of {str(given.dtype).removeprefix('torch.')} of shape {tuple(given.shape)}"
        )
    return f"a {type(given).__name__}"


def _mel_power(waveform: Float[Tensor, " samples"]) -> Float[Tensor, "40 frames"]:
    window = torch.hamming_window(
        FFT_SAMPLES, periodic=False, dtype=waveform.dtype, device=waveform.device
    )
    bands = melscale_fbanks(
        FFT_SAMPLES // 2 + 1,
        LOWEST_HZ,
        HIGHEST_HZ,
        NUM_MEL,
        SAMPLE_RATE,
        norm="slaney",
        mel_scale="slaney",
    ).to(waveform)
    mean = waveform.mean()
    num_frames = len(waveform) // HOP_SAMPLES + 1
    blocks = []
    for first in range(0, num_frames, FRAMES_PER_BLOCK):
        stop = min(first + FRAMES_PER_BLOCK, num_frames)
        samples = _emphasised(waveform, mean, first, stop)
        frames = samples.unfold(0, FFT_SAMPLES, HOP_SAMPLES)
        blocks.append(bands.T @ torch.fft.rfft(frames * window).abs().square().T)
    return torch.cat(blocks, dim=1)


def _emphasised(
    waveform: Float[Tensor, " samples"], mean: Float[Tensor, ""], first_frame: int, stop_frame: int
) -> Float[Tensor, " some"]:
    """All samples of a range of frames, with zeros beyond both ends of the sound."""
    begin = first_frame * HOP_SAMPLES - FFT_SAMPLES // 2
    end = (stop_frame - 1) * HOP_SAMPLES + FFT_SAMPLES // 2
    first, stop = max(begin, 0), min(end, len(waveform))
    samples = waveform[max(first - 1, 0) : stop] - mean
    emphasised = samples[1:] - PRE_EMPHASIS * samples[:-1]
    if first == 0:
        emphasised = torch.cat((samples[:1], emphasised))
    return F.pad(emphasised, (first - begin, end - stop))


class AudioExtractor:
    """Frozen DAVEnet over windows of one fixed shape, so that memory does not grow with the file.

    Each window is as long as the last and overlaps it by the network's context on both sides;
    only its middle rows are kept. All that the network looks at for a kept row lies inside the
    window, so the rows are those of one pass over the whole file, up to rounding. Before and
    after the file there is silence (-80 dB).
    """

    def __init__(
        self,
        network: Davenet | ResDavenet,
        *,
        device: torch.device | str = "cpu",
        window_frames: int = 2048,
        windows_per_batch: int = 1,
    ) -> None:
        """Takes the network over, in evaluation mode.

        Args:
            network: With its weights.
            device: Where to run: in fp32 on a CPU, under bf16 autocast on a GPU.
            window_frames: Length of a window, a multiple of 16, in frames of 10 ms.
            windows_per_batch: Windows at a time; a batch has always so many, the last ones of a
                file being silence. More of them fill a GPU.
        """
        context_rows = -(-network.context_frames // FRAMES_PER_ROW)
        kept_rows = window_frames // FRAMES_PER_ROW - 2 * context_rows
        if window_frames % FRAMES_PER_ROW or kept_rows < 1:
            raise ValueError(
                f"{window_frames=}: windows have a multiple of {FRAMES_PER_ROW} frames, more than "
                f"{2 * context_rows * FRAMES_PER_ROW} of them for {type(network).__name__}"
            )
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.window_frames = window_frames
        self.windows_per_batch = windows_per_batch
        self.kept = slice(context_rows, context_rows + kept_rows)

    @torch.inference_mode()
    def __call__(self, mel: Float[Tensor, "40 frames"]) -> Float[Tensor, "rows 1024"]:
        """One fp32 row for every 16 frames begun."""
        num_rows = -(-mel.shape[1] // FRAMES_PER_ROW)
        rows = [self._rows(batch) for batch in self._windows(mel).split(self.windows_per_batch)]
        return torch.cat(rows)[:num_rows]

    def _windows(
        self, mel: Float[Tensor, "40 frames"]
    ) -> Float[Tensor, "windows 40 window_frames"]:
        step = (self.kept.stop - self.kept.start) * FRAMES_PER_ROW
        num_windows = -(-mel.shape[1] // step)
        num_windows += -num_windows % self.windows_per_batch
        before = self.kept.start * FRAMES_PER_ROW
        after = (num_windows - 1) * step + self.window_frames - before - mel.shape[1]
        padded = F.pad(mel, (before, after), value=QUIETEST_DB)
        return padded.unfold(1, self.window_frames, step).transpose(0, 1)

    def _rows(self, windows: Float[Tensor, "windows 40 frames"]) -> Float[Tensor, "rows 1024"]:
        is_gpu = self.device.type == "cuda"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=is_gpu):
            rows: Tensor = self.network(windows.to(self.device))
        return rows[:, :, self.kept].transpose(1, 2).flatten(0, 1).float().cpu()
