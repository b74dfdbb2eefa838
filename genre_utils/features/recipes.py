"""How features are computed: all that recognition needs to do the same to a new file."""

from dataclasses import dataclass

from genre_utils.features import audio

TOP_DB = 80.0  #: decibels below a clip's loudest point at which the log-mel spectrogram ends
AMIN = 1e-10  # least power that has a logarithm


@dataclass(frozen=True)
class Recipe:
    """How features are computed.

    Parameters
    ----------
    sr : int
        Sample rate in Hz.
    n_fft, hop_length : int
        Window of the short-time Fourier transform, an even number, and its step, in samples.
    n_mels, n_mfcc : int
        Mel bands and cepstral coefficients.
    clip_seconds, excerpt_seconds : float
        Longest part (the middle) of a recording that is used, and of the excerpts of that.
    loudness : str
        What every clip is scaled to before (see `normalise_loudness`).

    Examples
    --------
    >>> Recipe(clip_seconds=30.0, hop_length=512).frames
    1292
    """

    sr: int = audio.SAMPLE_RATE
    n_fft: int = 2048
    hop_length: int = 1024
    n_mels: int = 64
    n_mfcc: int = 20
    clip_seconds: float = 30.0
    excerpt_seconds: float = 6.0
    loudness: str = "none"

    def __post_init__(self):
        if self.n_fft % 2:
            raise ValueError(f"n_fft is {self.n_fft}; the features need an even number of samples")

    @property
    def frames(self) -> int:
        """Frames of a clip of full length."""
        return 1 + int(self.clip_seconds * self.sr) // self.hop_length

    @property
    def frames_per_second(self) -> float:
        """Frame rate in Hz."""
        return self.sr / self.hop_length


def excerpt_frames(excerpt_seconds: float, frames_per_second: float) -> int:
    """Whole frames that an excerpt spans."""
    return int(excerpt_seconds * frames_per_second)
