"""The signal front end: 48 kHz samples to mel band powers. The numbers made here are the weights of the ONNX graph,
so training and the vehicle hear the same."""

import numpy as np

INPUT_RATE_HZ = 48_000
DECIMATION = 2
RATE_HZ = INPUT_RATE_HZ // DECIMATION
FIR_TAPS = 41
N_FFT = 512  # 21.3 ms
HOP = 240  # 10 ms
MEL_BANDS = 64
MEL_LOW_HZ = 60.0
MEL_HIGH_HZ = 11_000.0
WINDOW_SAMPLES = INPUT_RATE_HZ  # 1 s
FRAMES = (WINDOW_SAMPLES // DECIMATION - N_FFT) // HOP + 1  # 98
FRAME_RATE_HZ = RATE_HZ / HOP


def fir_low_pass() -> np.ndarray:
    """Windowed-sinc (Blackman) low pass at 0.9 × the new Nyquist frequency; [FIR_TAPS], unit gain at 0 Hz."""
    n = np.arange(FIR_TAPS) - (FIR_TAPS - 1) / 2
    cutoff = 0.45 / DECIMATION
    taps = 2 * cutoff * np.sinc(2 * cutoff * n) * np.blackman(FIR_TAPS + 2)[1:-1]
    return (taps / taps.sum()).astype(np.float32)


def mel_bins() -> int:
    """FFT bins that reach a mel band; the ones above MEL_HIGH_HZ are not computed."""
    return int(np.ceil(MEL_HIGH_HZ / RATE_HZ * N_FFT)) + 1


def dft_basis() -> np.ndarray:
    """Hann-windowed cosines, then sines: [2 × bins, N_FFT]; scaled so that a full-scale sine has power about 1."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    phase = 2 * np.pi * np.outer(np.arange(mel_bins()), np.arange(N_FFT)) / N_FFT
    scale = 2 / window.sum()
    return (np.concatenate([np.cos(phase), np.sin(phase)]) * window * scale).astype(np.float32)


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
    """Mel band powers of float samples (−1..1, 48 kHz, [n]): [frames, MEL_BANDS] float32, one frame each 10 ms."""
    pad = (FIR_TAPS - 1) // 2
    low = np.convolve(np.pad(samples, pad), fir_low_pass(), mode="valid")[::DECIMATION].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(low, N_FFT)[::HOP]
    spectrum = frames @ dft_basis().T
    bins = mel_bins()
    return (spectrum[:, :bins] ** 2 + spectrum[:, bins:] ** 2) @ mel_matrix()
