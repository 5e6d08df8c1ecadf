"""The motions of the embedded world: a table of labelled actions, unlabelled fillers and near-twins.

Also how they are filmed, and which motions the backbones of the two presets see in pretraining.
"""

from dataclasses import dataclass

# Pose channels: degrees from hanging down, forward positive (lean: from upright), `air` in body heights.
# N is the limb near the camera, F the far one. A pose lists only what differs from standing.
CHANNELS = ("air", "lean", "armN", "elbN", "armF", "elbF", "thiN", "kneN", "thiF", "kneF")
STAND = dict(armN=8, elbN=12, armF=-8, elbF=12, thiN=7, kneN=4, thiF=-7, kneF=4)
BEND = dict(lean=28, armN=55, armF=60, thiN=72, kneN=104, thiF=86, kneF=110)
CROUCH = dict(lean=34, armN=-50, armF=-40, thiN=58, kneN=92, thiF=66, kneF=96)
FLY = dict(air=0.34, lean=-4, armN=150, armF=156, thiN=-8, kneN=6, thiF=8, kneF=6)
WIND = dict(lean=-14, armN=212, elbN=58, thiF=16)
FLING = dict(lean=20, armN=74, elbN=-8, thiN=-14, thiF=12)
UP = dict(lean=-7, armN=164, elbN=-8, armF=176, elbF=-8)
KICK = dict(lean=-18, armN=-40, armF=50, thiN=88, kneN=-2)
HALF = dict(lean=14, armN=30, armF=26, thiN=40, kneN=54, thiF=40, kneF=57)
KNEE = dict(thiN=72, kneN=84, lean=-2)
SWING = dict(thiN=-38, kneN=58, lean=10)


@dataclass(frozen=True)
class Motion:
    """One row of the table of motions: what is seen, how long, and its key poses.

    `keys`: (phase in 0..1, pose) of a one-off motion; standing before 0 and, unless a key says so, at 1.
    `cycle`: two poses between which a repeated motion swings, `period` seconds there and back.
    """

    about: str
    seconds: tuple[float, float]
    keys: tuple[tuple[float, dict], ...] = ()
    cycle: tuple[dict, dict] | None = None
    period: tuple[float, float] = (0.0, 0.0)


ACTIONS = {  # the 10 labelled classes
    "jump": Motion("short; crouch, one leap with both arms thrown up, landing", (0.75, 1.4),
                   ((0.28, CROUCH), (0.52, FLY), (0.76, CROUCH))),
    "kick": Motion("short; one leg swings back and then up to the horizontal", (0.75, 1.4),
                   ((0.3, SWING), (0.55, KICK), (0.65, KICK))),
    "throw": Motion("short; an arm winds up behind the head, then is flung forward", (0.75, 1.5),
                    ((0.4, WIND), (0.5, WIND), (0.64, FLING))),
    "catch": Motion("short; the throw backwards in time: same poses, other order", (0.75, 1.5),
                    ((0.36, FLING), (0.5, WIND), (0.6, WIND))),
    "sit": Motion("direction; from standing into a deep bend that is then held", (0.9, 2.0),
                  ((1.0, BEND),)),
    "rise": Motion("direction; out of the held bend, the sit backwards", (0.9, 2.0),
                   ((0.0, BEND), (1.0, {}))),
    "wave": Motion("long; one arm overhead, the forearm swings", (2.5, 6.0),
                   cycle=(dict(armN=158, elbN=-38), dict(armN=150, elbN=58)), period=(0.5, 0.8)),
    "squats": Motion("long, slow; deep bends again and again, each like a short sit and rise", (3.0, 6.2),
                     cycle=({}, BEND), period=(1.5, 2.1)),
    "bounce": Motion("long, fast; the same deep bends as squats at more than twice the tempo", (2.5, 6.0),
                     cycle=({}, BEND), period=(0.5, 0.75)),
    "stretch": Motion("long; both arms rise slowly, are held overhead for seconds, sink slowly", (3.0, 6.2),
                      ((0.3, UP), (0.72, UP))),
}
OTHERS = {  # never labelled; in the videos as fillers, and part of the trimmed clips
    "walk": Motion("filler; strides to another place, turning towards it", (1.2, 3.5),
                   cycle=(dict(thiN=24, kneN=0, thiF=-26, kneF=34, armN=-28, armF=28),
                          dict(thiN=-26, kneN=34, thiF=24, kneF=0, armN=28, armF=-28)), period=(0.8, 1.1)),
    "clap": Motion("filler; both arms meet in front again and again", (1.5, 4.0),
                   cycle=(dict(armN=40, elbN=50, armF=116, elbF=-30), dict(armN=70, elbN=12, armF=78)),
                   period=(0.45, 0.7)),
    "sway": Motion("filler; the trunk rocks to and fro", (2.0, 4.5),
                   cycle=(dict(lean=-22), dict(lean=24)), period=(1.2, 2.0)),
    "scratch": Motion("filler near wave; a hand rubs the head", (1.5, 4.0),
                      cycle=(dict(armN=106, elbN=104), dict(armN=120, elbN=128)), period=(0.4, 0.65)),
    "point": Motion("filler near throw; one arm to the horizontal, held, down again", (1.5, 3.5),
                    ((0.25, dict(armN=86, elbN=-10)), (0.75, dict(armN=86, elbN=-10)))),
    "bow": Motion("filler near sit; the trunk bends deep and comes back, legs straight", (1.2, 2.6),
                  ((0.42, dict(lean=68, armN=50, armF=56)), (0.58, dict(lean=68, armN=50, armF=56)))),
}
TWINS = {  # never labelled, in no trimmed clip: nearly a class
    "dip": Motion("near-twin of sit and squats; one single bend", (1.0, 2.2), ((0.5, BEND),)),
    "hop_feint": Motion("near-twin of jump; crouch and arms up, but the feet stay on the ground", (0.75, 1.4),
                        ((0.28, CROUCH), (0.52, {**FLY, "air": 0.0}), (0.76, CROUCH))),
    "knee_lift": Motion("near-twin of kick; swing and raised knee, but the leg is not extended", (0.75, 1.4),
                        ((0.3, SWING), (0.55, KNEE), (0.65, KNEE))),
    "wind_up": Motion("near-twin of throw and catch; the arm winds up and comes back the same way", (0.9, 1.6),
                      ((0.45, WIND), (0.55, WIND))),
    "reach": Motion("near-twin of stretch; both arms up and down at once, without the hold", (0.9, 1.8),
                    ((0.5, UP),)),
    "half_squats": Motion("near-twin of squats; the same slow tempo, bends half as deep", (2.5, 5.0),
                          cycle=({}, HALF), period=(1.5, 2.1)),
    "jiggle": Motion("near-twin of bounce; the same fast tempo, bends half as deep", (2.0, 5.0),
                     cycle=({}, HALF), period=(0.5, 0.75)),
    "beckon": Motion("near-twin of wave; the forearm swings just as fast, at shoulder height", (2.0, 5.0),
                     cycle=(dict(armN=84, elbN=-14), dict(armN=92, elbN=76)), period=(0.5, 0.8)),
    "hail": Motion("near-twin of wave; one arm overhead, still", (1.5, 3.5),
                   ((0.2, dict(armN=156)), (0.8, dict(armN=152)))),
}
# The "context" world: the same motion has another label if the signal ended 3 to 8 seconds before; else none is near.
ANSWERS, SIGNAL, DELAY, SILENCE = {"kick": "answered_kick"}, "clap", (3.0, 8.0), 10.0
DIFFICULTIES = {  # how it is filmed; drawn per shot
    "cut": "a shot lasts 5-13 s; the next one has another place, zoom, side and light, whatever is going on",
    "zoom": "the performer is 0.74 to 1.12 times the usual size",
    "jitter": "the camera shakes and drifts by a few pixels",
    "gain": "the exposure wavers by up to 18 %",
    "pace": "every instance has its own speed and 0.8-1.15 of the amplitude; either side's limbs may act",
    "fidget": "trunk and limbs are never quite still",
}
ALL = {**ACTIONS, **OTHERS, **TWINS}
CLASSES = tuple(ACTIONS)
MOTIONS = (*ACTIONS, *OTHERS)
UNSEEN = ("jump", "kick", "throw", "catch", "wave", "stretch")  # by the backbone of the "gap" preset
PRESETS = {"covered": MOTIONS, "gap": tuple(m for m in MOTIONS if m not in UNSEEN)}
