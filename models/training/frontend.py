"""The signal front end: 48 kHz samples to mel band powers. The numbers made here are the weights of the ONNX graph,
so training and the vehicle hear the same."""

import functools

import numpy as np

INPUT_RATE_HZ = 48_000
DECIMATION = 2
RATE_HZ = INPUT_RATE_HZ // DECIMATION
FIR_TAPS = 41
HOP = 240  # 10 ms
N_FFT = 2 * HOP  # 20 ms: a frame is two neighbouring hops
MEL_BANDS = 64
MEL_LOW_HZ = 60.0
MEL_HIGH_HZ = 11_000.0
WINDOW_SAMPLES = INPUT_RATE_HZ  # 1 s
FRAMES = (WINDOW_SAMPLES // DECIMATION - N_FFT) // HOP + 1  # 99
FRAME_RATE_HZ = RATE_HZ / HOP


@functools.cache
def fir_low_pass() -> np.ndarray:
    """Windowed-sinc (Blackman) low pass at 0.9 × the new Nyquist frequency; [FIR_TAPS], unit gain at 0 Hz."""
    n = np.arange(FIR_TAPS) - (FIR_TAPS - 1) / 2
    cutoff = 0.45 / DECIMATION
    taps = 2 * cutoff * np.sinc(2 * cutoff * n) * np.blackman(FIR_TAPS + 2)[1:-1]
    return (taps / taps.sum()).astype(np.float32)


@functools.cache
def hann() -> np.ndarray:
    """Periodic Hann window [N_FFT], scaled so that a full-scale sine has power about 1."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    return (window * 2 / window.sum()).astype(np.float32)


def mel_bins() -> int:
    """FFT bins that reach a mel band, made even; the ones above MEL_HIGH_HZ are not computed."""
    bins = int(np.ceil(MEL_HIGH_HZ / RATE_HZ * N_FFT)) + 1
    return bins + bins % 2


@functools.cache
def half_bases() -> tuple[np.ndarray, np.ndarray]:
    """The first step of a radix-2 transform, decimated in frequency (Gentleman & Sande, Fast Fourier Transforms, AFIPS 1966): with a, b the
    windowed halves of a frame, (a + b) times the first matrix gives the even bins and (a − b) times the second the odd ones, up to
    their sign. Each [HOP, mel_bins()]: cosines, then sines. Half the multiplications of the plain transform."""
    bins = np.arange(mel_bins())
    phase = 2 * np.pi * np.outer(np.arange(HOP), bins) / N_FFT
    bases = (np.concatenate([np.cos(phase[:, first::2]), np.sin(phase[:, first::2])], axis=1) for first in (0, 1))
    return tuple(basis.astype(np.float32) for basis in bases)


@functools.cache
def mel_matrix() -> np.ndarray:
    """Triangular bands, equally wide on the mel scale of O'Shaughnessy (1987); [bins, MEL_BANDS]; each sums to one."""
    to_mel = lambda hz: 2595 * np.log10(1 + hz / 700)
    edges = 700 * (10 ** (np.linspace(to_mel(MEL_LOW_HZ), to_mel(MEL_HIGH_HZ), MEL_BANDS + 2) / 2595) - 1)
    hz = np.arange(mel_bins()) * RATE_HZ / N_FFT
    width_hz = RATE_HZ / N_FFT
    bands = np.zeros((len(hz), MEL_BANDS))
    for band in range(MEL_BANDS):
        low, mid, high = edges[band : band + 3]
        # A low band may be narrower than one bin: widen it to one so that no band is empty.
        low, high = min(low, mid - width_hz), max(high, mid + width_hz)
        bands[:, band] = np.clip(np.minimum((hz - low) / (mid - low), (high - hz) / (high - mid)), 0, None)
    return (bands / bands.sum(axis=0)).astype(np.float32)


def mel_power(samples: np.ndarray) -> np.ndarray:
    """Mel band powers of float samples (−1..1, 48 kHz, [n]): [frames, MEL_BANDS] float32, one frame each 10 ms. A sound shorter
    than a frame is padded with silence."""
    pad = (FIR_TAPS - 1) // 2
    low = np.convolve(np.pad(samples, pad), fir_low_pass(), mode="valid")[::DECIMATION]
    low = np.pad(low, (0, max(0, N_FFT - len(low))))
    frames = np.lib.stride_tricks.sliding_window_view(low, N_FFT)[::HOP]
    spectrum = np.fft.rfft(frames * hann())[:, : mel_bins()]
    return (np.abs(spectrum) ** 2 @ mel_matrix()).astype(np.float32)
