import json
from pathlib import Path

import pytest

from goodviews.hub import OutputExists, UsageError
from goodviews.hub.files.atomic import new_folder, write_json, write_text
from goodviews.hub.files.overwrite import kind_of, refuse_file, refuse_folder

PNG, JPEG = b"\x89PNG\r\n\x1a\nrest", b"\xff\xd8\xff\xe0rest"


def test_a_folder_says_of_what_kind_it_is(tmp_path: Path):
    with new_folder(tmp_path / "out", kind="index"):
        pass
    assert kind_of(tmp_path / "out") == "index"
    assert kind_of(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "field", "kind"),
    [
        ("report.json", "encoder", "result"),
        ("recipe.json", "recipe", "run"),
        ("index.json", "kind", "index"),
        ("demo.json", "steps", "demo"),
        ("config.json", "goodviews", "encoder"),
        ("comparison.json", "version", "comparison"),
        ("export.json", "encoder", "export"),
    ],
)
def test_a_folder_without_a_marker_is_known_by_its_file_and_not_by_a_namesake(tmp_path: Path, name, field, kind):
    write_json(tmp_path / "ours" / name, {field: {}})
    write_json(tmp_path / "theirs" / name, {"other": {}})
    write_text(tmp_path / "damaged" / name, "{")
    write_text(tmp_path / "deep" / name, "[" * 100_000)
    assert kind_of(tmp_path / "ours") == kind
    assert [kind_of(tmp_path / other) for other in ("theirs", "damaged", "deep")] == [None] * 3


def test_only_a_folder_of_the_same_kind_is_replaced(tmp_path: Path):
    write_text(tmp_path / "photos" / "a.txt", "mine")
    with new_folder(tmp_path / "encoder", kind="encoder"):
        pass
    for place in ("photos", "encoder"):
        with pytest.raises(OutputExists, match="not written by this command"):
            refuse_folder(tmp_path / place, True, kind="index")
    refuse_folder(tmp_path / "encoder", True, kind="encoder")
    with pytest.raises(OutputExists, match="--overwrite"):
        refuse_folder(tmp_path / "encoder", False, kind="encoder")


def test_an_input_is_never_replaced_nor_what_holds_it_or_lies_inside(tmp_path: Path):
    out = tmp_path / "run" / "out"
    with new_folder(out, kind="index") as partial:
        write_text(partial / "photos" / "a.txt", "")
    (tmp_path / "link").symlink_to(out)
    (tmp_path / "photos").symlink_to(out / "photos")
    for place, given, relation in [
        (out, out, "is"),
        (out, out / "photos" / "a.txt", "holds"),
        (out, tmp_path / "photos", "holds"),
        (out, f"{out}/photos/train-{{000..009}}.tar", "holds"),
        (out, tmp_path / "run", "lies inside"),
        (tmp_path / "link", out, "is"),
        (tmp_path / "link", tmp_path / "photos", "holds"),
    ]:
        with pytest.raises(OutputExists, match=f"It {relation} the input"):
            refuse_folder(place, True, kind="index", inputs=[None, "timm:resnet18", given])
    refuse_folder(out, True, kind="index", inputs=[None, "timm:resnet18", tmp_path / "elsewhere"])


def test_a_file_is_replaced_only_by_one_that_begins_alike(tmp_path: Path):
    contents = {"a.png": PNG, "a.jpg": JPEG, "a.pth": b"PK\x03\x04", "a.safetensors": b"\x40" + bytes(7) + b"{"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        refuse_file(tmp_path / name, True)
        with pytest.raises(OutputExists, match="--overwrite"):
            refuse_file(tmp_path / name, False)
        (tmp_path / name).write_bytes(b"a letter to a friend")
        with pytest.raises(OutputExists, match="so it stays"):
            refuse_file(tmp_path / name, True)
    (tmp_path / "a.txt").write_bytes(PNG)
    with pytest.raises(UsageError, match="writes no file"):
        refuse_file(tmp_path / "a.txt", True)


def test_a_file_that_is_an_input_stays_also_through_a_link(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(PNG)
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    for out in ("a.png", "b.png"):
        with pytest.raises(OutputExists, match="is the input"):
            refuse_file(tmp_path / out, True, inputs=[tmp_path / "a.png"])
    with pytest.raises(OutputExists, match="is a folder"):
        refuse_file(tmp_path, True)


def test_a_file_is_never_replaced_by_a_folder(tmp_path: Path):
    (tmp_path / "a").write_text(json.dumps({}))
    with pytest.raises(OutputExists, match="It is a file"):
        refuse_folder(tmp_path / "a", True, kind="index")
