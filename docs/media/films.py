# SPDX-License-Identifier: Apache-2.0
"""Put films of tasks side by side: ./myriad python docs/media/films.py Ant=runs/ant/play.mp4 Anymal=...

The films are those of `./myriad play task=... checkpoint=... video=True`. The result is docs/media/films.webp: four
seconds of each, again and again.
"""

import sys
from pathlib import Path

import imageio_ffmpeg
from PIL import Image, ImageDraw

WIDTH, HEIGHT, COLUMNS = 240, 138, 4
FRAMES_PER_SECOND, SECONDS, START = 10, 4.0, 1.0


def frames(name: str, file: str) -> list[Image.Image]:
    """Return a film's frames, small; a film that ends before stands still at its end."""
    options = ["-vf", f"fps={FRAMES_PER_SECOND}"]
    reader = imageio_ffmpeg.read_frames(file, input_params=["-ss", str(START)], output_params=options)
    size = next(reader)["source_size"]
    found = []
    for data in reader:
        picture = Image.frombytes("RGB", size, data).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        ImageDraw.Draw(picture).text((6, HEIGHT - 18), name, fill=(20, 24, 32), font_size=13)
        found.append(picture)
        if len(found) == round(FRAMES_PER_SECOND * SECONDS):
            break
    return found + found[-1:] * (round(FRAMES_PER_SECOND * SECONDS) - len(found))


def main() -> None:
    """Draw the films that were asked for."""
    films = [frames(*argument.split("=", 1)) for argument in sys.argv[1:]]
    rows = -(-len(films) // COLUMNS)
    pages = []
    for moment in zip(*films, strict=True):
        page = Image.new("RGB", (COLUMNS * WIDTH, rows * HEIGHT), "white")
        for index, picture in enumerate(moment):
            page.paste(picture, (index % COLUMNS * WIDTH, index // COLUMNS * HEIGHT))
        pages.append(page)
    pages[0].save(
        Path(__file__).with_name("films.webp"), save_all=True, append_images=pages[1:], loop=0, quality=45, method=6,
        duration=round(1000 / FRAMES_PER_SECOND),
    )  # fmt: skip


if __name__ == "__main__":
    main()
