"""Every mode that an image file can have becomes 8-bit channels, or is refused with a reason."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tamingplat_datasets.pixels import MODES, UnusableImageError, decode, to_array, with_channels

WHITE = (255, 255, 255)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(data: bytes, channels: int = 3, background: tuple[int, int, int] = WHITE) -> np.ndarray:
    return to_array(with_channels(decode(data), channels, background))


def gradient(height: int = 5, width: int = 7) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows * 40, columns * 30, (rows + columns) * 20], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_every_pair_of_channels(mode: str, channels: int) -> None:
    image = Image.fromarray(gradient()).convert(mode)
    array = read(encoded(image), channels)
    assert array.shape == (channels, 5, 7)
    assert array.dtype == np.uint8
    assert array.flags["C_CONTIGUOUS"]
    assert array.flags["WRITEABLE"]
    if MODES[channels] == mode:
        own = np.asarray(image)
        np.testing.assert_array_equal(array, own[None] if own.ndim == 2 else own.transpose(2, 0, 1))
    if channels in (2, 4):
        assert (array[-1] == 255).all()


@pytest.mark.parametrize("background", [WHITE, (10, 20, 30)])
def test_alpha_is_composited_on_the_background(background: tuple[int, int, int]) -> None:
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0] = [(200, 100, 50, 255), (200, 100, 50, 0), (200, 100, 50, 128)]
    array = read(encoded(Image.fromarray(pixels)), 3, background)
    assert tuple(array[:, 0, 0]) == (200, 100, 50)
    assert tuple(array[:, 0, 1]) == background
    half = [round((top * 128 + below * 127) / 255) for top, below in zip((200, 100, 50), background, strict=True)]
    assert np.abs(array[:, 0, 2].astype(int) - half).max() <= 1


def test_palette_with_and_without_transparency() -> None:
    colours = Image.fromarray(gradient()).quantize(16)
    np.testing.assert_array_equal(read(encoded(colours)), np.asarray(colours.convert("RGB")).transpose(2, 0, 1))
    transparent = Image.new("P", (2, 1))
    transparent.putpalette([255, 0, 0, 0, 255, 0])
    transparent.putdata([0, 1])
    array = read(encoded(transparent, transparency=1), 4)
    assert array[:, 0, 0].tolist() == [255, 0, 0, 255]
    assert array[3, 0, 1] == 0
    assert read(encoded(transparent, transparency=1), 3)[:, 0, 1].tolist() == [255, 255, 255]


def test_a_transparent_colour_of_a_grey_or_rgb_image() -> None:
    grey = Image.fromarray(np.array([[0, 100]], np.uint8))
    assert read(encoded(grey, transparency=100), 1).tolist() == [[[0, 255]]]
    colour = Image.fromarray(np.array([[[0, 0, 0], [1, 2, 3]]], np.uint8))
    assert read(encoded(colour, transparency=(1, 2, 3)), 4)[3].tolist() == [[255, 0]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_rounded(kind: str) -> None:
    values = np.array([[0, 127, 128, 129, 257, 0x7FFF, 0xFFFF]], np.uint16)
    array = read(encoded(Image.fromarray(values), kind), 1)
    np.testing.assert_array_equal(array[0], np.rint(values / 257).astype(np.uint8))


def test_big_endian_sixteen_bits() -> None:
    values = np.array([[0, 257, 0xFFFF]], np.uint16)
    data = b"P5 3 1 65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(read(data, 1)[0], [[0, 1, 255]])


def test_one_bit_cmyk_and_ycbcr() -> None:
    bits = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    assert read(encoded(bits), 1).tolist() == [[[0, 255]]]
    cmyk = Image.new("CMYK", (2, 2), (0, 255, 255, 0))
    assert read(encoded(cmyk, "TIFF"))[:, 0, 0].tolist() == [255, 0, 0]
    jpeg = read(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))[:, 8, 8].astype(int)
    assert np.abs(jpeg - [255, 0, 0]).max() < 8
    ycbcr = Image.new("RGB", (4, 4), (20, 120, 220)).convert("YCbCr")
    assert np.abs(read(encoded(ycbcr, "TIFF"))[:, 0, 0].astype(int) - [20, 120, 220]).max() <= 4


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image.fromarray(np.ones((2, 2), np.float32)), "mode F has no agreed range"),
        (Image.fromarray(np.full((2, 2), 70_000, np.int32)), "beyond"),
        (Image.fromarray(np.full((2, 2), -1, np.int32)), "beyond"),
        (Image.new("LAB", (2, 2)), "mode LAB has no agreed range"),
    ],
    ids=["float", "large", "negative", "lab"],
)
def test_modes_without_a_range_are_refused(image: Image.Image, reason: str) -> None:
    with pytest.raises(UnusableImageError, match=reason):
        decode(encoded(image, "TIFF"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    upright = gradient(8, 16)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    image = Image.fromarray(np.ascontiguousarray(stored))
    exif = image.getexif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(read(encoded(image, exif=exif)), upright.transpose(2, 0, 1))


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (3, 3), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    array = read(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert array[:, 1, 1].tolist() == [255, 0, 0]


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"], ids=["empty", "text", "header"])
def test_not_an_image(data: bytes) -> None:
    with pytest.raises(UnusableImageError):
        decode(data)


def test_truncated_png() -> None:
    data = encoded(Image.fromarray(gradient(40, 40)))
    with pytest.raises(UnusableImageError, match="corrupt"):
        decode(data[: len(data) * 2 // 3])


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Truncated File Read")
@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "TGA"]),
    cut=st.floats(0, 1),
    place=st.floats(0, 1),
    byte=st.integers(0, 255),
)
def test_damage_is_read_or_refused_and_nothing_else(kind: str, cut: float, place: float, byte: int) -> None:
    data = bytearray(encoded(Image.fromarray(gradient(12, 12)), kind))
    data[int(place * (len(data) - 1))] = byte
    try:
        image = decode(bytes(data[: 1 + int(cut * len(data))]))
    except UnusableImageError as error:
        assert str(error)
    else:
        assert image.mode in MODES.values()
