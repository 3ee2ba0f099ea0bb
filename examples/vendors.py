"""The catalogue of the example library: the packs, their sounds, and how each one is played."""

from collections.abc import Callable
from dataclasses import dataclass

from synthesis import Studio, Waveform

#: A file name, its category, and the function that plays the sound on a studio.
Entry = tuple[str, str, Callable[[Studio], Waveform]]

HALVES = "x.......x......."
FOUR = "x...x...x...x..."
BACKBEAT = "....x.......x..."
OFFBEAT = "..x...x...x...x."
EIGHTHS = "x.x.x.x.x.x.x.x."
RUN = "x..x..x.x..x..x."


@dataclass(frozen=True)
class Pack:
    """Sounds of one vendor with the same encoding.

    Parameters
    ----------
    folder : str
        Path of the pack in the library, usually vendor and pack.
    subtype : str
        libsndfile's name of the encoding; a container that does not support it uses its default.
    sample_rate_hz, channels : int
        Format of every sound of the pack.
    """

    folder: str
    subtype: str
    sample_rate_hz: int
    channels: int
    entries: list[Entry]


# Formatted by hand with two lines per sound: the formatter would use five, which are hard to read.
# fmt: off
PACKS = [
    Pack("Nova Vector/Growl Theory", "PCM_24", 44_100, 1, [
        ("NV_128_bass_loop_growl_Fmin.wav", "bass-loop",
            lambda s: s.loop(1, 128, (s.bass("F1", 0.3, 900), RUN))),
        ("NV_128_bass_loop_sub_roller_Fmin.wav", "bass-loop",
            lambda s: s.loop(1, 128, (s.bass("F1", 0.2, 120), OFFBEAT))),
        ("NV_128_drum_loop_full_stomp.wav", "drum-loop",
            lambda s: s.loop(1, 128, (s.kick(), FOUR), (s.clap(), BACKBEAT), (s.hat(), OFFBEAT))),
        ("NV_128_drum_loop_top_shuffle.wav", "drum-loop",
            lambda s: s.loop(1, 128, (s.hat(), EIGHTHS), (s.hat(0.3), OFFBEAT))),
        ("NV_128_synth_loop_arp_neon_Fmin.wav", "synth-loop",
            lambda s: s.loop(1, 128, (s.pluck("F3"), "x....."), (s.pluck("C4"), "...x.."))),
        ("NV_128_synth_loop_stab_glow_Fmin.wav", "synth-loop",
            lambda s: s.loop(1, 128, (s.pad("F3 G#3 C4", 0.4), RUN))),
        ("NV_128_piano_loop_ballroom_Fmin.wav", "instrumental-loops",
            lambda s: s.loop(1, 128, (s.keys("F3 G#3 C4"), "x.......x..x...."))),
        ("NV_kick_one_shot_punchy.wav", "drum",
            lambda s: s.kick(0.3)),
        ("NV_kick_one_shot_deep.wav", "drum",
            lambda s: s.kick(0.7, 40)),
        ("NV_snare_one_shot_crack.wav", "drum",
            lambda s: s.snare()),
        ("NV_clap_one_shot_wide.wav", "drum",
            lambda s: s.clap()),
        ("NV_hat_one_shot_closed_tight.wav", "drum",
            lambda s: s.hat(0.05)),
        ("NV_hat_one_shot_open.wav", "drum",
            lambda s: s.hat(0.4)),
        ("NV_bass_one_shot_reese_F.wav", "bass",
            lambda s: s.bass("F1", 1.0, 700)),
        ("NV_bass_one_shot_808_long_C.wav", "bass",
            lambda s: s.kick(1.2, 33)),
        ("NV_synth_one_shot_lead_laser_C.wav", "synth",
            lambda s: s.lead("C5")),
        ("NV_synth_one_shot_pluck_bell_A.wav", "synth",
            lambda s: s.pluck("A4")),
        ("NV_128_vocal_chop_ooh_Fmin.wav", "vocal",
            lambda s: s.loop(1, 128, (s.voice("F3", "oh", 0.25), RUN))),
        ("NV_vocal_one_shot_hey.wav", "vocal",
            lambda s: s.voice("C4", "ee", 0.4)),
        ("NV_fx_riser_short.wav", "effects",
            lambda s: s.riser(1.5)),
        ("NV_fx_impact_boom.wav", "effects",
            lambda s: s.impact()),
    ]),
    Pack("Northlight Audio/Glass Pads 2", "PCM_24", 48_000, 2, [
        ("Northlight - Glass Pads 2 - 120 BPM A Min.flac", "synth-loop",
            lambda s: s.loop(1, 120, (s.pad("A3 C4 E4", 2.5), "x..............."))),
        ("Northlight - Glass Pads 2 - Shimmer Loop - 120 BPM C Maj.flac", "synth-loop",
            lambda s: s.loop(1, 120, (s.pad("C4 E4 G4", 1.0), HALVES))),
        ("Northlight - Glass Pads 2 - Rhodes Loop - 120 BPM A Min.flac", "instrumental-loops",
            lambda s: s.loop(1, 120, (s.keys("A3 C4 E4 G4"), "x.....x...x....."))),
        ("Northlight - Glass Pads 2 - Pad Aurora C.flac", "synth",
            lambda s: s.pad("C3 G3 E4", 1.5)),
        ("Northlight - Glass Pads 2 - Pad Frozen Lake D.flac", "synth",
            lambda s: s.pad("D3 A3 F#4", 1.5)),
        ("Northlight - Glass Pads 2 - Bass Drone A.flac", "bass",
            lambda s: s.bass("A1", 1.0, 200)),
        ("Northlight - Glass Pads 2 - Downlifter 2.flac", "effects",
            lambda s: s.riser(0.8)[::-1]),
    ]),
    Pack("Dusty Disc/CD 4 Breaks & Basses", "PCM_16", 44_100, 1, [
        ("Bpm124_D_Bass01.aif", "bass-loop",
            lambda s: s.loop(1, 124, (s.bass("D2", 0.25), RUN))),
        ("Bpm124_D_Bass02.aif", "bass-loop",
            lambda s: s.loop(1, 124, (s.bass("D1", 0.4), EIGHTHS))),
        ("Bpm124_Drums03.aif", "drum-loop",
            lambda s: s.loop(2, 124, (s.kick(), RUN), (s.snare(), BACKBEAT), (s.hat(), EIGHTHS))),
        ("Bpm096_Beat07.aif", "drum-loop",
            lambda s: s.loop(1, 96, (s.kick(), RUN), (s.snare(), BACKBEAT), (s.hat(), EIGHTHS))),
        ("Bpm096_Am_Guitar02.aif", "instrumental-loops",
            lambda s: s.loop(1, 96, (s.string("A3"), "x..x..x."), (s.string("E4"), "....x..x"))),
        ("Bpm096_Am_Piano01.aif", "instrumental-loops",
            lambda s: s.loop(1, 96, (s.keys("A3 C4 E4"), "x.....x...x....."))),
        ("Bpm124_D_SynthSeq04.aif", "synth-loop",
            lambda s: s.loop(1, 124, (s.pluck("D4"), "x..x.."), (s.pluck("A4"), ".x..x."))),
        ("Bass_E1_Finger.aif", "bass",
            lambda s: s.string("E1", 1.0)),
        ("Stab_Am7.aif", "synth",
            lambda s: s.pad("A3 C4 E4 G4", 0.5)),
        ("Scratch09.aif", "effects",
            lambda s: s.riser(0.5)),
    ]),
    Pack("Halfmoon Kits/Paper Boats", "FLOAT", 44_100, 1, [
        ("KIT1_construction_140_full_mix_Am.wav", "kits-n-templates",
            lambda s: s.loop(1, 140, (s.kick(), FOUR), (s.bass("A1"), RUN), (s.pad("A3"), HALVES))),
        ("KIT1_construction_140_drums.wav", "kits-n-templates",
            lambda s: s.loop(1, 140, (s.kick(), FOUR), (s.hat(), OFFBEAT))),
        ("KIT1_construction_140_bassline_Am.wav", "kits-n-templates",
            lambda s: s.loop(1, 140, (s.bass("A1", 0.2), OFFBEAT))),
        ("KIT2_construction_174_full_mix_Em.wav", "kits-n-templates",
            lambda s: s.loop(1, 174, (s.kick(), RUN), (s.clap(), BACKBEAT), (s.bass("E1"), RUN))),
    ]),
    Pack("Halfmoon Kits/Paper Boats Stems", "PCM_16", 48_000, 2, [
        ("Paper Boats_174_STEM_drums.wav", "stems-n-midi",
            lambda s: s.loop(1, 174, (s.kick(), FOUR), (s.snare(), BACKBEAT))),
        ("Paper Boats_174_STEM_bass_Am.wav", "stems-n-midi",
            lambda s: s.loop(1, 174, (s.bass("A1", 0.3), RUN))),
        ("Paper Boats_174_STEM_keys_Am.wav", "stems-n-midi",
            lambda s: s.loop(1, 174, (s.keys("A3 C4 E4"), HALVES))),
    ]),
    Pack("Mouth Parade/Choir Boys", "MPEG_LAYER_III", 44_100, 2, [
        ("MP_90_vocal_chop_airy_Cmin.mp3", "vocal",
            lambda s: s.loop(1, 90, (s.voice("C4", "ah", 0.3), RUN))),
        ("MP_90_vocal_loop_hum_Cmin.mp3", "vocal",
            lambda s: s.loop(1, 90, (s.voice("C3", "oh", 1.2), HALVES))),
        ("MP_vox_adlib_yeah_02.mp3", "vocal",
            lambda s: s.voice("G3", "ee")),
        ("MP_vocal_phrase_oh_dry_G.mp3", "vocal",
            lambda s: s.voice("G3", "oh", 1.0)),
        ("MP_duo_ahh_Cmaj.mp3", "vocal",
            lambda s: s.voice("C4", "ah", 1.5) + s.voice("E4", "ah", 1.5)),
        ("MP_beatbox_kick.mp3", "drum",
            lambda s: s.kick(0.2, 70)),
    ]),
    Pack("Tin Roof/Field Kitchen", "PCM_32", 88_200, 1, [
        ("violin pizz D4 mf.wav", "instruments",
            lambda s: s.string("D4", 0.5)),
        ("flute A4 soft.wav", "instruments",
            lambda s: s.flute("A4", 0.6)),
        ("Cello_C2_pizzicato_rr1.wav", "instruments",
            lambda s: s.string("C2", 0.6)),
        ("Cello_C2_pizzicato_rr2.wav", "instruments",
            lambda s: s.string("C2", 0.6)),
        ("Foley door slam 03.wav", "effects",
            lambda s: s.impact(0.5)),
        ("Riser 7.ogg", "effects",
            lambda s: s.riser()),
        ("Wind howl.ogg", "effects",
            lambda s: s.wind(1.5)),
    ]),
    Pack("free stuff", "PCM_16", 22_050, 1, [
        ("snare-03.wav", "drum",
            lambda s: s.snare()),
        ("snare-04.wav", "drum",
            lambda s: s.snare(0.4)),
        ("kick drum 12.wav", "drum",
            lambda s: s.kick()),
        ("SD0025.WAV", "drum",
            lambda s: s.snare(0.3)),
        ("BD0050.WAV", "drum",
            lambda s: s.kick(0.5)),
        ("hh (5).wav", "drum",
            lambda s: s.hat()),
        ("hh (6).wav", "drum",
            lambda s: s.hat(0.3)),
        ("tom_lo.wav", "drum",
            lambda s: s.tom()),
        ("tom_hi.wav", "drum",
            lambda s: s.tom(140)),
        ("CLAP2.WAV", "drum",
            lambda s: s.clap()),
        ("sub bass C.wav", "bass",
            lambda s: s.bass("C1", 1.0, 150)),
        ("acidBass_01.ogg", "bass",
            lambda s: s.bass("A1", 0.4, 1_500)),
        ("superSaw C4.ogg", "synth",
            lambda s: s.lead("C4", 1.0)),
        ("Guitar pluck E3.mp3", "instruments",
            lambda s: s.string("E3")),
        ("piano_C4_ff.mp3", "instruments",
            lambda s: s.keys("C4", 1.5)),
        ("flute-A4.ogg", "instruments",
            lambda s: s.flute("A4")),
        ("vox 12.wav", "vocal",
            lambda s: s.voice("A3")),
        ("laser.zap.2.wav", "effects",
            lambda s: s.riser(0.4)[::-1]),
        ("funky drum break 100bpm.wav", "drum-loop",
            lambda s: s.loop(2, 100, (s.kick(), RUN), (s.snare(), BACKBEAT), (s.hat(), EIGHTHS))),
        ("100bpm bassline Am.wav", "bass-loop",
            lambda s: s.loop(2, 100, (s.bass("A1"), RUN))),
        ("acoustic guitar loop 100bpm Am.wav", "instrumental-loops",
            lambda s: s.loop(2, 100, (s.string("A3"), "x..x..x."), (s.string("C4"), "....x..x"))),
    ]),
]
# fmt: on
