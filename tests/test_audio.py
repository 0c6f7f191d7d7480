import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from extractors.audio import FRAMES_PER_BLOCK, LEAST_POWER, QUIETEST_DB, AudioExtractor, log_mel
from mcn.models.davenet import FRAMES_PER_ROW, Davenet, ResDavenet


def golden_waveform() -> Tensor:
    """Two seconds of 440 Hz, with bursts of 3 kHz."""
    n = np.arange(32_000)
    tone = 0.3 * np.sin(2 * np.pi * 440 * n / 16_000)
    bursts = 0.1 * np.sin(2 * np.pi * 3000 * n / 16_000) * (n % 4000 < 2000)
    return torch.from_numpy((tone + bursts).astype(np.float32))


def slow_mel_band(waveform: Tensor, band: int, frame: int) -> float:
    """Power of one band in one frame from the definitions alone: no FFT, no library."""
    y = (waveform.double() - waveform.double().mean()).numpy()
    y = np.concatenate((y[:1], y[1:] - 0.97 * y[:-1]))
    padded = np.concatenate((np.zeros(200), y, np.zeros(200)))
    t = np.arange(400)
    windowed = padded[160 * frame : 160 * frame + 400] * (0.54 - 0.46 * np.cos(2 * np.pi * t / 399))

    def to_mel(hz: float) -> float:
        return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)

    def to_hz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * math.exp(math.log(6.4) * (mel - 15) / 27)

    edges = [to_hz(m) for m in np.linspace(to_mel(20), to_mel(8000), 42)]
    low, peak, high = edges[band : band + 3]
    total = 0.0
    for k in range(201):
        hz = 40 * k
        weight = max(0.0, min((hz - low) / (peak - low), (high - hz) / (high - peak)))
        power = abs((windowed * np.exp(-2j * np.pi * k * t / 400)).sum()) ** 2
        total += 2 / (high - low) * weight * power
    return total


def test_log_mel_gives_the_published_numbers() -> None:
    mel = log_mel(golden_waveform(), 16_000)
    assert mel.shape == (40, 201)
    assert mel.double().sum().item() == pytest.approx(-524560.625, rel=1e-5)
    assert mel[5, 10].item() == pytest.approx(-3.081430435180664, abs=1e-3)
    assert mel[20, 100].item() == pytest.approx(-36.70980453491211, abs=1e-3)
    assert mel[39, 200].item() == pytest.approx(-47.152042388916016, abs=1e-3)
    assert (mel.min().item(), mel.max().item()) == (-80.0, 0.0)


def test_log_mel_equals_its_definition() -> None:
    noise = torch.randn(1600)
    mel = log_mel(noise.double(), 16_000)
    for one, other in (((0, 0), (39, 10)), ((7, 5), (20, 3))):
        ratio = slow_mel_band(noise, *one) / slow_mel_band(noise, *other)
        assert (mel[one] - mel[other]).item() == pytest.approx(10 * math.log10(ratio), abs=1e-4)


def test_log_mel_does_not_depend_on_volume_or_offset() -> None:
    noise = torch.randn(16_000).double()
    torch.testing.assert_close(log_mel(0.1 * noise + 3, 16_000), log_mel(noise, 16_000))


def test_long_sound_is_taken_in_blocks_unnoticed() -> None:
    period_frames = 500
    once = torch.randn(160 * period_frames).double()
    repeats = FRAMES_PER_BLOCK // period_frames + 2
    mel = log_mel(once.repeat(repeats), 16_000)
    assert mel.shape == (40, repeats * period_frames + 1)
    inside = mel[:, 10 : 10 + (repeats - 1) * period_frames]
    first = inside[:, :period_frames]
    torch.testing.assert_close(inside, first.repeat(1, repeats - 1))


@pytest.mark.parametrize("level", [0.0, 0.5])
@pytest.mark.parametrize("samples", [1, 100, 16_000])
def test_silence_is_the_loudest_level_as_published_or_the_quietest(
    level: float, samples: int
) -> None:
    waveform = torch.full((samples,), level)
    everywhere = torch.ones(40, samples // 160 + 1)
    assert torch.equal(log_mel(waveform, 16_000), 0 * everywhere)
    assert torch.equal(log_mel(waveform, 16_000, silence="quiet"), QUIETEST_DB * everywhere)


def test_only_a_sound_below_the_least_power_is_silence() -> None:
    noise = torch.randn(1600).double()
    for volume in (1.0, 1e-5):
        mel = log_mel(volume * noise, 16_000)
        assert mel.max() == 0 > mel.min()
        assert torch.equal(log_mel(volume * noise, 16_000, silence="quiet"), mel)
    assert 0 < slow_mel_band(1e-8 * noise, 20, 5) < LEAST_POWER
    assert not log_mel(1e-8 * noise, 16_000).any()
    assert log_mel(1e-8 * noise, 16_000, silence="quiet").eq(QUIETEST_DB).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sound_is_computed_in_single(dtype: torch.dtype) -> None:
    rounded = golden_waveform().to(dtype)
    assert torch.equal(log_mel(rounded, 16_000), log_mel(rounded.float(), 16_000))


@pytest.mark.parametrize(
    "given, described",
    [
        (torch.ones(1600, dtype=torch.int16), r"a tensor of int16 of shape \(1600,\)"),
        (torch.ones(1, 1600), r"a tensor of float32 of shape \(1, 1600\)"),
        (torch.tensor(1.0), r"a tensor of float32 of shape \(\)"),
        (np.ones(1600), "a ndarray"),
    ],
)
def test_what_is_no_sound_is_refused_with_what_is_wanted(given: Any, described: str) -> None:
    with pytest.raises(ValueError, match=f"one row of floating-point numbers, and {described}"):
        inspect.unwrap(log_mel)(given, 16_000)  # without the check of types that tests have


def test_log_mel_stays_on_the_device_of_its_sound() -> None:
    mel = log_mel(torch.empty(1600, device="meta"), 16_000)  # which no other device mixes with
    assert mel.shape == (40, 11) and mel.device.type == "meta"


@pytest.mark.gpu
def test_log_mel_on_a_gpu_is_nearly_the_same() -> None:
    on_gpu = log_mel(golden_waveform().cuda(), 16_000).cpu()
    torch.testing.assert_close(on_gpu, log_mel(golden_waveform(), 16_000), atol=1e-2, rtol=0)


def test_other_rates_and_no_sound_are_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"44100 samples a second.*jobs/resize\.py"):
        log_mel(torch.zeros(100), 44_100)
    with pytest.raises(ValueError, match="no samples"):
        log_mel(torch.zeros(0), 16_000)


@pytest.mark.parametrize("make", [Davenet, ResDavenet])
@pytest.mark.parametrize("windows_per_batch", [1, 3])
@torch.inference_mode()
def test_windows_give_the_rows_of_one_pass_over_the_whole(
    make: type[Davenet] | type[ResDavenet], windows_per_batch: int
) -> None:
    network = make().eval()
    mel = -80 * torch.rand(40, 2005)
    extractor = AudioExtractor(network, window_frames=1024, windows_per_batch=windows_per_batch)
    rows = extractor(mel)
    assert rows.shape == (126, 1024)
    quiet = torch.full((40, 512), QUIETEST_DB)
    whole = network(torch.cat((quiet, mel, quiet), dim=1)[None])[0].T[32 : 32 + 126]
    torch.testing.assert_close(rows, whole, atol=1e-4 * whole.abs().max().item(), rtol=0)


@torch.inference_mode()
def test_rows_inside_do_not_know_how_the_ends_are_padded() -> None:
    network = Davenet().eval()
    mel = -80 * torch.rand(40, 1600)
    rows = AudioExtractor(network)(mel)
    inside = slice(9, 91)
    torch.testing.assert_close(rows[inside], network(mel[None])[0].T[inside])


@pytest.mark.parametrize("frames", [1, 16, 17, 101, 1759, 1760, 1761])
def test_there_is_a_row_for_every_sixteen_frames_begun(frames: int) -> None:
    rows = AudioExtractor(Davenet())(torch.zeros(40, frames))
    assert rows.shape == (-(-frames // FRAMES_PER_ROW), 1024)


def test_the_same_file_gives_the_same_bytes_again() -> None:
    extractor = AudioExtractor(Davenet(), window_frames=512)
    waveform = torch.randn(32_000)
    first = extractor(log_mel(waveform, 16_000))
    extractor(log_mel(torch.randn(20_000), 16_000))
    assert torch.equal(extractor(log_mel(waveform.clone(), 16_000)), first)


def test_windows_without_room_for_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 288 of them for Davenet"):
        AudioExtractor(Davenet(), window_frames=288)
    with pytest.raises(ValueError, match="multiple of 16"):
        AudioExtractor(Davenet(), window_frames=1000)


@pytest.mark.gpu
def test_a_gpu_gives_nearly_the_same_rows() -> None:
    network, mel = Davenet(), -80 * torch.rand(40, 500)
    on_cpu = AudioExtractor(network)(mel)
    on_gpu = AudioExtractor(network, device="cuda", windows_per_batch=2)(mel)
    assert torch.nn.functional.cosine_similarity(on_cpu, on_gpu).min() > 0.99
