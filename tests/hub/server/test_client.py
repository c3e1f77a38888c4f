"""The unmodified Hugging Face client works with the private hub: create, commit, revisions, lists, downloads."""

import json
from pathlib import Path

import numpy as np
import pytest

from goodviews.hub import Encoder, save

from ..running_hub import RunningHub

pytestmark = pytest.mark.oldest
START = """
import json, sys
from huggingface_hub import HfApi, CommitOperationAdd, CommitOperationDelete, hf_hub_download, snapshot_download
from huggingface_hub import errors
api = HfApi()
"""


@pytest.fixture(scope="module")
def folder(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(encoder, tmp_path_factory.mktemp("encoder") / "tiny")


def test_a_pushed_folder_comes_back_byte_for_byte(hub: RunningHub, folder: Path, home: Path, tmp_path: Path):
    hub.client(
        START + f"api.create_repo('team/tiny'); api.upload_folder(repo_id='team/tiny', folder_path={str(folder)!r})",
        home=home,
    )
    out = tmp_path / "back"
    hub.client(START + f"snapshot_download('team/tiny', local_dir={str(out)!r})", home=home / "other", token=None)
    for file in folder.rglob("*"):
        if file.is_file():
            assert (out / file.relative_to(folder)).read_bytes() == file.read_bytes(), file


def test_large_files_go_by_lfs_when_xet_is_off(hub: RunningHub, home: Path, tmp_path: Path):
    (tmp_path / "large.bin").write_bytes(b"\x07" * (257 * 2**20))
    path = str(tmp_path / "large.bin")
    code = f"""
api.create_repo('team/large')
api.upload_file(repo_id='team/large', path_or_fileobj={path!r}, path_in_repo='large.bin')
info = api.get_paths_info('team/large', ['large.bin'])[0]
print(json.dumps([info.size, info.lfs.sha256]))
"""
    size, sha256 = json.loads(hub.client(START + code, home=home, HF_HUB_DISABLE_XET="1"))
    assert size == 257 * 2**20
    assert (hub.root / "blobs" / sha256[:2] / sha256).stat().st_size == size


def test_revisions_are_kept_and_named(hub: RunningHub, home: Path):
    code = """
api.create_repo('team/revisions')
first = api.upload_file(repo_id='team/revisions', path_or_fileobj=b'one', path_in_repo='a/x.txt').oid
api.create_tag('team/revisions', tag='v1')
api.create_branch('team/revisions', branch='feature/slash')
api.upload_file(repo_id='team/revisions', path_or_fileobj=b'two', path_in_repo='a/x.txt')
api.upload_file(repo_id='team/revisions', path_or_fileobj=b'side', path_in_repo='a/x.txt', revision='feature/slash')
read = lambda rev: open(hf_hub_download('team/revisions', 'a/x.txt', revision=rev)).read()
refs = api.list_repo_refs('team/revisions')
print(json.dumps({
    'texts': [read(rev) for rev in ('main', 'v1', first, 'feature/slash')],
    'branches': sorted(ref.name for ref in refs.branches), 'tags': [ref.name for ref in refs.tags],
    'files': api.list_repo_files('team/revisions'), 'history': len(api.list_repo_commits('team/revisions')),
    'tree': [entry.path for entry in api.list_repo_tree('team/revisions')],
}))
"""
    found = json.loads(hub.client(START + code, home=home))
    assert found["texts"] == ["two", "one", "one", "side"]
    assert found["branches"] == ["feature/slash", "main"]
    assert found["tags"] == ["v1"]
    assert found["files"] == ["a/x.txt"]
    assert found["tree"] == ["a"]
    assert found["history"] == 3  # the first, empty commit too


def test_errors_are_the_clients_own_classes(hub: RunningHub, home: Path):
    code = """
api.create_repo('team/errors', exist_ok=True); api.create_repo('team/errors', exist_ok=True)
add = CommitOperationAdd('x', b'1')
def name(action):
    try: action()
    except Exception as error: return type(error).__name__
print(json.dumps([
    name(lambda: api.model_info('team/absent')),
    name(lambda: api.model_info('team/errors', revision='absent')),
    name(lambda: hf_hub_download('team/errors', 'absent.txt')),
    name(lambda: api.create_repo('team/errors')),
    name(lambda: api.create_commit('team/errors', [add], commit_message='m', parent_commit='0' * 40)),
    api.file_exists('team/errors', 'absent.txt'), api.repo_exists('team/absent'),
]))
"""
    assert json.loads(hub.client(START + code, home=home)) == [
        "RepositoryNotFoundError",
        "RevisionNotFoundError",
        "RemoteEntryNotFoundError",
        "HfHubHTTPError",
        "HfHubHTTPError",
        False,
        False,
    ]


def test_a_pull_request_stands_beside_main_until_it_is_merged(hub: RunningHub, home: Path):
    code = """
api.create_repo('team/request')
made = api.create_commit('team/request', [CommitOperationAdd('x.txt', b'new')], commit_message='m', create_pr=True)
before = api.list_repo_files('team/request')
beside = api.list_repo_files('team/request', revision='refs/pr/1')
api.merge_pull_request('team/request', 1)
print(json.dumps([made.pr_num, before, beside, api.list_repo_files('team/request')]))
"""
    assert json.loads(hub.client(START + code, home=home)) == [1, [], ["x.txt"], ["x.txt"]]


def test_deleting_files_folders_and_repositories(hub: RunningHub, home: Path):
    code = """
api.create_repo('team/less')
adds = [CommitOperationAdd(name, b'1') for name in ('a.txt', 'f/b.txt', 'f/c.txt', 'fg.txt')]
api.create_commit('team/less', adds, commit_message='m')
api.delete_file('a.txt', 'team/less')
api.delete_folder('f', 'team/less')
left = api.list_repo_files('team/less')
api.delete_repo('team/less')
print(json.dumps([left, api.repo_exists('team/less')]))
"""
    assert json.loads(hub.client(START + code, home=home)) == [["fg.txt"], False]


def test_private_repositories_are_seen_with_the_token_only(hub: RunningHub, home: Path):
    hub.client(START + "api.create_repo('team/hidden', private=True)", home=home)
    seen = "print(api.repo_exists('team/hidden'), 'team/hidden' in [m.id for m in api.list_models()])"
    assert hub.client(START + seen, home=home) == "True True"
    assert hub.client(START + seen, home=home, token=None) == "False False"
    assert hub.client(START + seen, home=home, token="wrong") == "False False"


@pytest.mark.parametrize(("token", "status"), [(None, 401), ("wrong", 401)])
def test_writing_needs_the_token(hub: RunningHub, home: Path, token: str | None, status: int):
    code = """
import os
try: api.create_repo('team/never', token=os.environ.get('HF_TOKEN', False))
except errors.HfHubHTTPError as error: print(error.response.status_code)
"""
    assert hub.client(START + code, home=home, token=token) == str(status)


@pytest.mark.slow
def test_every_reader_gives_the_same_vector_of_a_photo(
    hub: RunningHub, spread_encoder: Encoder, gallery: list[Path], home: Path, tmp_path: Path
):
    """From the hub and from the folder; each by its own preparation of the photo."""
    folder = save(spread_encoder, tmp_path / "spread")
    code = f"""
import numpy, timm, torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from transformers import AutoImageProcessor, AutoModel, pipeline
from goodviews.hub import from_pretrained
api.create_repo('team/readers'); api.upload_folder(repo_id='team/readers', folder_path={str(folder)!r})
photo = Image.open({str(gallery[0])!r}).convert('RGB')
def with_timm(name):
    model = timm.create_model(name, pretrained=True).eval()
    return model(create_transform(**resolve_model_data_config(model))(photo)[None])[0].tolist()
def with_transformers(name):
    pixels = AutoImageProcessor.from_pretrained(name)(photo, return_tensors='pt')
    return AutoModel.from_pretrained(name).eval()(**pixels).pooler_output.flatten().tolist()
def with_pipeline(name):
    extract = pipeline('image-feature-extraction', model=name, pool=True, device='cpu')
    return numpy.array(extract(photo)).flatten().tolist()
with torch.inference_mode():
    vectors = [with_timm('hf-hub:team/readers'), with_timm('local-dir:' + {str(folder)!r})]
    for place in ('team/readers', {str(folder)!r}):
        vectors += [with_transformers(place), with_pipeline(place)]
        vectors.append(from_pretrained(place).encode([photo], normalise=False)[0].tolist())
print(json.dumps(vectors))
"""
    found = np.array(json.loads(hub.client(START + code, home=home).splitlines()[-1]))
    expected = spread_encoder.encode([gallery[0]], normalise=False)
    assert found.shape == (8, 512)
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, np.repeat(expected, 8, axis=0), atol=1e-5)
