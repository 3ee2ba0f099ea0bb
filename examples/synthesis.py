"""Small synthesised instruments for the example library.

`Studio` renders one-shots (kick, bass, pad, voice, riser, ...) as waveforms, and `Studio.loop`
plays them on a grid of sixteenths. The sounds are audible but not meant to be realistic. Only numpy
is needed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Mono samples, float64. `Studio.loop` and `make_library` scale them with `level`.
Waveform = NDArray[np.float64]

#: The first three formants of a sung vowel in hertz, after Peterson and Barney (1952).
FORMANTS_HZ = {"ah": (730, 1090, 2440), "ee": (270, 2290, 3010), "oh": (570, 840, 2410)}

SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
STEPS_PER_BAR = 16


def pitch_hz(note: str) -> float:
    """Return the frequency of a note such as ``A4`` (440 Hz) or ``F#1``, equal temperament."""
    semitone = SEMITONES[note[0]] + note.count("#") + 12 * int(note[-1])
    return float(440.0 * 2.0 ** ((semitone - 57) / 12))


def level(wave: Waveform, peak: float = 0.8) -> Waveform:
    """Return `wave` scaled to a peak amplitude of `peak`."""
    return wave * float(peak / np.max(np.abs(wave)))


@dataclass(frozen=True)
class Studio:
    """Instruments with one sample rate and one source of noise.

    Parameters
    ----------
    sample_rate_hz : int
        Sample rate of all waveforms.
    noise_source : numpy.random.Generator
        Seeded by the caller; the same seed gives the same sounds.
    """

    sample_rate_hz: int
    noise_source: np.random.Generator

    def loop(self, bars: int, bpm: int, *parts: tuple[Waveform, str]) -> Waveform:
        """Play each part's sound where its pattern has an ``x``, for exactly `bars` bars.

        Parameters
        ----------
        bars : int
            Bars of four quarter notes.
        bpm : int
            Quarter notes per minute.
        *parts : tuple of (Waveform, str)
            A sound and its pattern in sixteenths, which is repeated to fill the loop.

        Returns
        -------
        ndarray of shape (n_frames,), float64
            The end of a sound that is longer than the loop wraps to the start, so that the loop
            repeats without a gap.
        """
        n_frames = round(bars * 240 / bpm * self.sample_rate_hz)
        mix = np.zeros(n_frames)
        steps = bars * STEPS_PER_BAR
        for sound, pattern in parts:
            for step in range(steps):
                if pattern[step % len(pattern)] == "x":
                    start = round(step * n_frames / steps)
                    np.add.at(mix, (start + np.arange(len(sound))) % n_frames, sound)
        return level(mix)

    # Drums

    def kick(self, seconds: float = 0.4, floor_hz: float = 48.0) -> Waveform:
        """Play a sine that falls from a click to a thump."""
        t = self._times(seconds)
        return self._glide(floor_hz + 220 * np.exp(-t / 0.025)) * np.exp(-t / (seconds / 4))

    def snare(self, seconds: float = 0.25) -> Waveform:
        """Play a short drum tone under a burst of noise."""
        t = self._times(seconds)
        rattle = self._band(self._noise(seconds), 900, 9_000) * np.exp(-t / 0.06)
        return 0.7 * level(rattle) + 0.5 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.03)

    def clap(self) -> Waveform:
        """Play three quick bursts of noise with some reverberation."""
        t = self._times(0.3)
        hands = np.sum([(t > at) * np.exp(-(t - at) / 0.008) for at in (0.0, 0.012, 0.025)], axis=0)
        room = (t > 0.03) * 0.5 * np.exp(-t / 0.07)
        return level(self._band(self._noise(0.3), 800, 4_000) * (hands + room))

    def hat(self, seconds: float = 0.08) -> Waveform:
        """Play high noise: closed when short, open when long."""
        fall = np.exp(-4 * self._times(seconds) / seconds)
        return 0.5 * level(self._band(self._noise(seconds), 6_500, 16_000) * fall)

    def tom(self, floor_hz: float = 90.0) -> Waveform:
        """Play a tom: a slower, higher kick."""
        t = self._times(0.5)
        return self._glide(floor_hz * (1 + 0.6 * np.exp(-t / 0.05))) * np.exp(-t / 0.13)

    # Pitched

    def bass(self, note: str, seconds: float = 0.5, cutoff_hz: float = 400.0) -> Waveform:
        """Play a sawtooth through a low-pass, with the octave below."""
        hz = pitch_hz(note)
        tone = self._saw(hz, seconds) + 0.6 * np.sin(np.pi * hz * self._times(seconds))
        return level(self._band(tone, 20, cutoff_hz) * self._swell(seconds, 0.005))

    def lead(self, note: str, seconds: float = 0.4) -> Waveform:
        """Play two detuned sawtooths: a bright synthesiser."""
        hz = pitch_hz(note)
        tone = self._saw(hz, seconds) + self._saw(hz * 1.008, seconds)
        return level(self._band(tone, 80, 5_000) * self._swell(seconds, 0.01))

    def pluck(self, note: str, seconds: float = 0.4) -> Waveform:
        """Play a synthesiser's short, falling tone."""
        return self.lead(note, seconds) * np.exp(-self._times(seconds) / 0.09)

    def pad(self, notes: str, seconds: float = 2.0) -> Waveform:
        """Play a slow chord of soft tones; `notes` are separated by spaces."""
        pitches = [pitch_hz(note) for note in notes.split()]
        voices = [self._saw(hz * detune, seconds) for hz in pitches for detune in (0.997, 1.003)]
        chord = self._band(np.sum(voices, axis=0), 60, 1_800)
        return level(chord * self._swell(seconds, seconds / 4))

    def string(self, note: str, seconds: float = 1.2) -> Waveform:
        """Play a plucked string: noise, averaged further in every period (Karplus-Strong)."""
        turn = self.noise_source.uniform(-1, 1, round(self.sample_rate_hz / pitch_hz(note)))
        turns = []
        for _ in range(round(seconds * self.sample_rate_hz) // len(turn) + 1):
            turns.append(turn)
            turn = 0.498 * (turn + np.roll(turn, 1))
        return level(np.concatenate(turns)[: round(seconds * self.sample_rate_hz)])

    def keys(self, notes: str, seconds: float = 1.0) -> Waveform:
        """Play an electric piano by frequency modulation; the modulation decays first."""
        t = self._times(seconds)
        shake = 1.5 * np.exp(-t / 0.15)
        turns = [2 * np.pi * pitch_hz(note) * t for note in notes.split()]
        chord = np.sum([np.sin(turn + shake * np.sin(2 * turn)) for turn in turns], axis=0)
        return level(chord * np.exp(-t / (seconds / 3)))

    def flute(self, note: str, seconds: float = 1.5) -> Waveform:
        """Play a breathy tone with vibrato."""
        t = self._times(seconds)
        tone = self._glide(pitch_hz(note) * (1 + 0.006 * np.sin(2 * np.pi * 5 * t)))
        breath = level(self._band(self._noise(seconds), 1_500, 6_000), 0.1)
        return level((tone + breath) * self._swell(seconds, 0.12))

    def voice(self, note: str, vowel: str = "ah", seconds: float = 0.6) -> Waveform:
        """Sing a vowel: a sawtooth with vibrato, filtered by the formants of the vowel."""
        t = self._times(seconds)
        cords = self._glide(pitch_hz(note) * (1 + 0.01 * np.sin(2 * np.pi * 5.5 * t)), saw=True)
        spectrum, hz = self._spectrum(cords)
        throat = np.sum([np.exp(-(((hz - f) / 120) ** 2)) for f in FORMANTS_HZ[vowel]], axis=0)
        return level(np.fft.irfft(spectrum * throat, len(cords)) * self._swell(seconds, 0.05))

    # Effects

    def riser(self, seconds: float = 3.0) -> Waveform:
        """Play noise and a tone that rise in volume; the tone also rises in pitch."""
        climb = self._times(seconds) / seconds
        tone = self._glide(110 * 2 ** (4 * climb), saw=True)
        return level((0.4 * tone + self._band(self._noise(seconds), 1_000, 9_000)) * climb**2)

    def impact(self, seconds: float = 1.5) -> Waveform:
        """Play a boom with a decaying burst of noise."""
        dust = self._band(self._noise(seconds), 40, 2_500) * np.exp(-self._times(seconds) / 0.3)
        return level(self.kick(seconds, floor_hz=32) + 0.5 * level(dust))

    def wind(self, seconds: float = 2.0) -> Waveform:
        """Play noise that swells and fades."""
        gusts = 1 + 0.7 * np.sin(2 * np.pi * self._times(seconds) / seconds)
        return level(self._band(self._noise(seconds), 200, 1_200) * gusts)

    # Building blocks of the instruments

    def _times(self, seconds: float) -> Waveform:
        return np.arange(round(seconds * self.sample_rate_hz)) / self.sample_rate_hz

    def _noise(self, seconds: float) -> Waveform:
        return self.noise_source.standard_normal(round(seconds * self.sample_rate_hz))

    def _saw(self, hz: float, seconds: float) -> Waveform:
        return 2 * ((hz * self._times(seconds)) % 1.0) - 1

    def _glide(self, hz: Waveform, *, saw: bool = False) -> Waveform:
        turns = np.cumsum(hz) / self.sample_rate_hz
        return 2 * (turns % 1.0) - 1 if saw else np.sin(2 * np.pi * turns)

    def _swell(self, seconds: float, attack_seconds: float) -> Waveform:
        t = self._times(seconds)
        return np.minimum(1, t / attack_seconds) * np.minimum(1, (seconds - t) / (seconds / 4))

    def _spectrum(self, wave: Waveform) -> tuple[NDArray[np.complex128], Waveform]:
        hz = np.fft.rfftfreq(len(wave), 1 / self.sample_rate_hz).astype(np.float64)
        return np.fft.rfft(wave), hz

    def _band(self, wave: Waveform, low_hz: float, high_hz: float) -> Waveform:
        spectrum, hz = self._spectrum(wave)
        gain = 1 / (1 + (hz / high_hz) ** 8) * (1 - 1 / (1 + (hz / low_hz) ** 8))
        return np.fft.irfft(spectrum * gain, len(wave))
