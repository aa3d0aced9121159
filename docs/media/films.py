# SPDX-License-Identifier: Apache-2.0
"""Make films of tasks small, for docs/tasks.md and the README: ./myriad python docs/media/films.py Ant=ant.mp4 ...

The films are those of `./myriad play task=... checkpoint=... video=True`, or pictures of robots that stand still
(docs/media/tasks.py). The results are docs/media/films/<Task>.webp: four seconds, again and again.
"""

import sys
from pathlib import Path

import imageio_ffmpeg
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 240, 138
FRAMES_PER_SECOND, SECONDS, START = 10, 4.0, 1.0
QUALITY = 40
FOLDER = Path(__file__).with_name("films")


def frames(name: str, file: str) -> list[Image.Image]:
    """Return a film's frames, small, with the task's name; a picture is a film of one."""
    if file.endswith(".png"):
        return [small(name, Image.open(file).convert("RGB"))]
    options = ["-vf", f"fps={FRAMES_PER_SECOND}"]
    reader = imageio_ffmpeg.read_frames(file, input_params=["-ss", str(START)], output_params=options)
    size = next(reader)["source_size"]
    found = [small(name, Image.frombytes("RGB", size, data)) for data in reader]
    return found[: round(FRAMES_PER_SECOND * SECONDS)]


def small(name: str, picture: Image.Image) -> Image.Image:
    """Return a picture as it is shown."""
    result = picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    ImageDraw.Draw(result).text((6, HEIGHT - 18), name, fill=(20, 24, 32), font_size=13)
    return result


def main() -> None:
    """Write the films that were asked for."""
    FOLDER.mkdir(exist_ok=True)
    for argument in sys.argv[1:]:
        name, file = argument.split("=", 1)
        first, *rest = frames(name, file)
        first.save(
            FOLDER / f"{name}.webp", save_all=True, append_images=rest, loop=0, quality=QUALITY, method=6,
            duration=round(1000 / FRAMES_PER_SECOND),
        )  # fmt: skip


if __name__ == "__main__":
    main()
