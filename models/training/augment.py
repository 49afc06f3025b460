"""Makes training windows out of sounds, in the time domain: cut, speed, room or cabin, microphone array, window pane, a second
sound under it, clipping and noise. Everything is drawn from one seeded generator."""

from dataclasses import dataclass

import numpy as np

import frontend

RATE_HZ = frontend.INPUT_RATE_HZ
SAMPLES = frontend.WINDOW_SAMPLES
GRID_HZ = np.linspace(0, RATE_HZ / 2, 257)  # where gains over frequency are drawn
MEL_OF_GRID = np.log1p(GRID_HZ / 700) / np.log1p(12_000 / 700)  # 0 to 1 up to 12 kHz, then a little over 1
MIC_RADIUS_M = 0.043  # of the array's ring of microphones
MICS = 8
SOUND_M_PER_S = 343.0


@dataclass(frozen=True)
class Sound:
    """What windows are cut from: mono at 48 kHz, int16, and the frames (10 ms) worth looking at."""

    samples: np.ndarray
    peaks: np.ndarray
    impact: bool


def alone(samples: np.ndarray, peaks: np.ndarray, peak: int, random: np.random.Generator) -> np.ndarray:
    """What sounds at the frame `peak`, alone: silence before it, and after it from the next peak on or a little later. Recordings hold
    knocks in rows, barks and steps too; a vehicle is hit once."""
    frame = RATE_HZ // 100
    later = peaks[peaks >= peak + 8]
    end = peak + int(random.uniform(12, 90))
    if len(later) and random.random() < 0.75:
        end = min(end, int(later[0]) - 2)
    first, last = max(0, (peak - random.integers(2, 6)) * frame), min(len(samples), end * frame)
    kept = np.zeros_like(samples)
    n = max(last - first, 0)
    fade_in, fade_out = min(frame, n // 2), min(int(random.uniform(1, 10)) * frame, n // 2)
    envelope = np.ones(n, np.float32)
    envelope[:fade_in] = np.linspace(0, 1, fade_in)
    envelope[n - fade_out :] = np.linspace(1, 0, fade_out)
    kept[first:last] = samples[first:last] * envelope
    return kept


def cut(sound: Sound, settings: dict, random: np.random.Generator) -> np.ndarray:
    """One window [SAMPLES] of `sound`, at a speed of 0.84 to 1.19, around a loud moment (sometimes with nothing else in it) or anywhere;
    padded with silence. A blow lies anywhere but in the last quarter second: a later window shows it better."""
    speed = np.exp(random.uniform(-0.175, 0.175))
    length = int(SAMPLES * speed) + 2
    samples, last = sound.samples, len(sound.samples) - length
    if sound.impact or random.random() < settings["peak_share"]:
        frame = int(random.choice(sound.peaks))
        if random.random() < settings["alone"]:
            samples = alone(samples, sound.peaks, frame, random)
        peak = frame * RATE_HZ // 100
        offset = random.uniform(0.03, 0.77 if sound.impact else 0.97) * length
        start = int(np.clip(peak - offset, min(0, last), max(last, 0)))
    else:
        start = int(random.integers(min(0, last), max(last, 0) + 1))
    before, end = max(0, -start), min(len(samples), start + length)
    piece = np.zeros(length, np.float32)
    piece[before : before + end - max(start, 0)] = samples[max(start, 0) : end]
    return np.interp(np.arange(SAMPLES) * speed, np.arange(length), piece).astype(np.float32) / 32768


def curve_db(settings: dict, random: np.random.Generator) -> np.ndarray:
    """A smooth random gain over GRID_HZ: loudspeaker, microphone, distance; sometimes the low pass of a pane or door, or a high pass."""
    band = np.minimum(MEL_OF_GRID, 1.2)
    curve = random.normal(0, settings["tilt_db"]) * (band - 0.5)
    for k in (1, 2, 3, 5, 8):
        curve = curve + random.normal(0, settings["ripple_db"] / k**0.5) * np.cos(np.pi * k * band + random.uniform(0, 2 * np.pi))
    if random.random() < settings["low_pass"]:
        curve = curve - np.maximum(band - random.uniform(0.35, 1), 0) * random.uniform(60, 300)
    if random.random() < settings["high_pass"]:
        curve = curve - np.maximum(random.uniform(0, 0.4) - band, 0) * random.uniform(40, 200)
    return curve


def array_db(random: np.random.Generator) -> np.ndarray:
    """Gain over GRID_HZ of the mean of the array's microphones (a ring and its centre) for sound from a random direction, every
    microphone with a gain of its own (±1 dB)."""
    angle = np.append(np.arange(MICS - 1) * 2 * np.pi / (MICS - 1), 0)
    radius = np.append(np.full(MICS - 1, MIC_RADIUS_M), 0)
    delays_s = radius * np.cos(angle - random.uniform(0, 2 * np.pi)) * random.uniform(0, 1) / SOUND_M_PER_S
    gains = 10 ** (random.normal(0, 1, MICS) / 20)
    response = (gains[:, None] * np.exp(-2j * np.pi * delays_s[:, None] * GRID_HZ)).mean(axis=0)
    return 20 * np.log10(np.abs(response) + 1e-3)


def room(random: np.random.Generator) -> np.ndarray:
    """An impulse response: the direct sound, and noise that dies away; a cabin (short, close) or a room. At most 0.5 s."""
    decay_s = random.uniform(0.03, 0.15) if random.random() < 0.5 else random.uniform(0.15, 0.9)  # to −60 dB
    n = int(min(0.5, decay_s) * RATE_HZ)
    tail = random.standard_normal(n, np.float32) * 10 ** (-3 * np.arange(n, dtype=np.float32) / (decay_s * RATE_HZ))
    tail[: int(random.uniform(0.0005, 0.006) * RATE_HZ)] = 0
    tail *= 10 ** (random.uniform(-14, 3) / 20) / np.sqrt((tail**2).sum() + 1e-9)
    tail[0] = 1
    return tail


def coloured(window: np.ndarray, settings: dict, random: np.random.Generator) -> np.ndarray:
    """`window` through a random curve, sometimes the array and a room; the same length."""
    gain_db = curve_db(settings, random)
    if random.random() < settings["array"]:
        gain_db = gain_db + array_db(random)
    echo = random.random() < settings["echo"]
    length = 2 * SAMPLES if echo else SAMPLES
    spectrum = np.fft.rfft(window, length)
    spectrum *= np.interp(np.linspace(0, RATE_HZ / 2, len(spectrum)), GRID_HZ, 10 ** (np.maximum(gain_db, -80) / 20))
    if echo:
        spectrum *= np.fft.rfft(room(random), length)
    return np.fft.irfft(spectrum, length)[:SAMPLES].astype(np.float32)


def loudest_power(window: np.ndarray) -> float:
    """Mean power of the loudest 100 ms."""
    power = (window.reshape(-1, RATE_HZ // 100) ** 2).mean(axis=1)
    return float(np.convolve(power, np.full(10, 0.1), "valid").max())


def mixed(main: np.ndarray, under: np.ndarray, snr_db: float, against_loudest: bool) -> np.ndarray:
    """`under` beneath `main`: the loudest 100 ms of `main` lie `snr_db` over the mean power of `under` (or over its loudest 100 ms)."""
    level = loudest_power(under) if against_loudest else float((under**2).mean())
    gain = np.sqrt(loudest_power(main) / (level + 1e-12) * 10 ** (-snr_db / 10))
    return main + np.float32(min(gain, 1e4)) * under


def damaged(window: np.ndarray, settings: dict, random: np.random.Generator) -> np.ndarray:
    """Noise of the electronics, clipping, a level of −45 to 0 dBFS."""
    if random.random() < settings["noise"]:
        noise = np.fft.rfft(random.standard_normal(SAMPLES, np.float32))
        noise *= np.interp(np.linspace(0, RATE_HZ / 2, len(noise)), GRID_HZ, 10 ** (random.uniform(-25, 10) * np.minimum(MEL_OF_GRID, 1.2) / 20))
        noise = np.fft.irfft(noise).astype(np.float32)
        ratio = (window**2).mean() / (noise**2).mean() * 10 ** (random.uniform(-55, -8) / 10)
        window = window + np.sqrt(ratio) * noise
    window = window / (np.abs(window).max() + 1e-9)
    if random.random() < settings["clip"]:
        window = np.clip(window * 10 ** (random.uniform(1, 15) / 20), -1, 1)
    return (window * 10 ** (random.uniform(-45, 0) / 20)).astype(np.float32)
