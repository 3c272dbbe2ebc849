"""A storyboard as a studio would upload it, the same one every time."""

import json
import random
from typing import Any

_CAST = (
    ("Mira", "@mira_k"),
    ("老周", "@lao_zhou"),
    ("Tomás", "@tomas7"),
    ("阿梨", "@ali_pear"),
    ("Inspector Vale", "@vale"),
    ("小满", None),
    ("The Lamplighter", None),
    ("Captain Oduya", "@oduya"),
)
# fmt: off
_SCENES = (
    "Harbour at dawn", "旧城屋顶", "Night train, third carriage",
    "雨中的茶馆", "Salt flats", "地下印刷厂",
)
_PROPS = (
    "brass telescope", "纸灯笼", "wet umbrella", "录音机",
    "half a letter", "铜钥匙", "paper boat", "旧地图",
)
# fmt: on
_ENGLISH = (
    "[{0}] walks slowly towards the window while the camera drifts in from the left, rain on the glass.",
    'A wide shot: [{0}] and [{1}] stand apart on the quay; "We leave with the tide," one of them says.',
    "Close on the hands of [{0}], turning the object over; dust hangs in a single shaft of light.",
    "The carriage sways. [{1}] looks past [{0}] into the dark, and the lamp above them flickers twice.",
    "Handheld, at eye level: [{0}] runs through the market, fruit crates tumbling behind, the crowd parting.",
)
_CHINESE = (
    "[{0}]推开木门，晨光从雾里漫进来，镜头缓缓推近，檐角的水珠一颗颗落下。",
    "远景：[{0}]与[{1}]隔着长桌对坐，茶烟升起，两人都没有说话，窗外传来汽笛声。",
    "特写[{0}]的侧脸，灯影在墙上摇晃，她低声说：“天亮之前，我们得过桥。”",
    "[{1}]沿着石阶奔跑，[{0}]在高处回头，风把纸张吹满整条街巷，鸽群惊起。",
)
_NOTES = (
    "Hold the silence a beat longer than feels comfortable; no score until the door closes.",
    "色调偏冷，人物轮廓用逆光勾出，节奏慢下来，让观众听见雨声。",
    "The audience should suspect her here, but only on a second viewing.",
)


def storyboard(segments: int) -> bytes:
    """The bytes of a file with so many segments; 10,000 are about 6 MB."""
    dice = random.Random(2026)  # the same content on every machine
    value = {
        "metadata": {"title": "The Lamplighter's Debt · 点灯人", "version": 3},
        "character_bible": [{"name": name, "id": handle} for name, handle in _CAST],
        "segments": [_segment(dice, index) for index in range(1, segments + 1)],
    }
    return json.dumps(value, ensure_ascii=False).encode()


def _segment(dice: random.Random, index: int) -> dict[str, Any]:
    cast = dice.sample(_CAST, 2)
    lines = dice.choice((_ENGLISH, _CHINESE))
    prompt = " ".join(dice.sample(lines, 2)).format(*(name for name, _ in cast))
    return {
        "segment_index": index,
        "prompt_text": f"{prompt} ({index})",
        "director_intent": dice.choice(_NOTES),
        "asset": {
            "characters": [{"name": name, "id": handle} for name, handle in cast],
            "scene": dice.choice(_SCENES),
            "props": dice.sample(_PROPS, dice.randint(0, 2)),
        },
        "is_pro": False,
        "duration_seconds": dice.choice((4, 8, 10, 12)),
        "resolution": dice.choice(("horizontal", "vertical")),
    }
