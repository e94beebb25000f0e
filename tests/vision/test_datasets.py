"""Image datasets: files of every layout and format, and every kind of damage."""

import gzip
import io
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

import numgrad
from numgrad.utils.data import DataLoader
from numgrad.vision import datasets, transforms
from numgrad.vision.datasets import archive, idx

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (7, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9, 2], np.uint8)


def idx_bytes(array):
    return struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder, part="train", images=IMAGES, labels=LABELS, compressed=False):
    os.makedirs(folder, exist_ok=True)
    for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
        data = idx_bytes(array)
        path = os.path.join(folder, name + (".gz" if compressed else ""))
        with open(path, "wb") as file:
            file.write(gzip.compress(data) if compressed else data)


# --- what comes with numgrad ---


def test_digits_are_scikit_learn_s():
    reference = pytest.importorskip("sklearn.datasets").load_digits()
    digits = datasets.Digits(train=None)
    assert (digits.data.numpy() == reference.images).all()
    assert (digits.targets.numpy() == reference.target).all()


def test_digits_split():
    train, test = datasets.Digits(), datasets.Digits(train=False)
    assert (len(train), len(test)) == (1438, 359)
    whole = datasets.Digits(train=None)
    rows = {image.tobytes() for image in train.data.numpy()} | {image.tobytes() for image in test.data.numpy()}
    assert rows == {image.tobytes() for image in whole.data.numpy()}
    for part, least, most in ((train, 139, 147), (test, 34, 37)):
        counts = np.bincount(part.targets.numpy())
        assert counts.min() >= least
        assert counts.max() <= most
    of_three = np.flatnonzero(whole.targets.numpy() == 3)
    assert (test.data.numpy()[test.targets.numpy() == 3] == whole.data.numpy()[of_three[2::5]]).all()


def test_digits_samples_and_description():
    digits = datasets.Digits(train=False, transform=transforms.ToTensor(), target_transform=lambda label: label + 10)
    image, label = digits[0]
    assert image.shape == (1, 8, 8)
    assert 10 <= label < 20
    assert digits.data.max().item() == 16
    assert digits.class_to_idx["7"] == 7
    assert repr(digits).splitlines()[:4] == [
        "Dataset Digits", "    Number of datapoints: 359", "    Split: Test", "    transform: ToTensor()"
    ]  # fmt: skip


def test_digits_normalized_as_documented():
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(4.8842 / 255, 6.0168 / 255)])
    values = np.stack([image.numpy() for image, _ in datasets.Digits(train=None, transform=transform)])
    assert abs(values.mean()) < 1e-3
    assert abs(values.std() - 1) < 1e-3


def test_digits_licence_comes_along():
    folder = os.path.join(os.path.dirname(datasets.__file__), "uci_digits")
    with open(os.path.join(folder, "README.md")) as file:
        assert "CC BY 4.0" in file.read()


def test_samples_are_copies():
    digits = datasets.Digits()
    digits[0][0][:] = 99
    assert digits.data[0].max().item() <= 16


def test_loading_with_workers():
    dataset = datasets.Digits(train=False, transform=transforms.ToTensor())
    images, labels = next(iter(DataLoader(dataset, batch_size=32, num_workers=1, timeout=60)))
    assert images.shape == (32, 1, 8, 8)
    assert labels.tolist() == dataset.targets[:32].tolist()


def test_fake_data():
    fake = datasets.FakeData(5, (3, 8, 6), num_classes=4)
    image, label = fake[2]
    assert image.shape == (8, 6, 3)
    assert image.dtype == np.uint8
    assert (fake[2][0] == image).all()
    assert fake[2][1] == label < 4
    assert (fake[1][0] != image).any()
    assert (datasets.FakeData(5, (3, 8, 6), random_offset=1)[1][0] == image).all()
    assert datasets.FakeData(5, (1, 8, 6))[0][0].shape == (8, 6)
    assert len(list(fake)) == 5
    with pytest.raises(IndexError, match="index 5 is out of range for 5 images"):
        fake[5]


# --- MNIST and its family ---


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", [datasets.MNIST, datasets.FashionMNIST])
@pytest.mark.parametrize("layout", ["{}/raw", "{}", "lower", "."])
def test_mnist_is_found_in_every_layout(tmp_path, kind, layout, compressed):
    name = kind.__name__
    write_mnist(tmp_path / layout.format(name).replace("lower", name.lower()), compressed=compressed)
    dataset = kind(tmp_path)
    assert dataset.data.dtype == numgrad.uint8
    assert dataset.targets.dtype == numgrad.int64
    assert (dataset.data.numpy() == IMAGES).all()
    image, label = dataset[5]
    assert (image == IMAGES[5]).all()
    assert label == 9
    assert type(label) is int
    assert dataset.classes[label] in ("9 - nine", "Ankle boot")


def test_mnist_parts_are_told_apart(tmp_path):
    write_mnist(tmp_path, "train")
    write_mnist(tmp_path, "t10k", IMAGES[:2], LABELS[:2])
    assert len(datasets.MNIST(tmp_path)) == 7
    assert len(datasets.MNIST(str(tmp_path), train=False)) == 2
    assert "Split: Test" in repr(datasets.MNIST(tmp_path, train=False))


def test_mnist_may_be_cut_down_by_hand(tmp_path):
    write_mnist(tmp_path)
    dataset = datasets.MNIST(tmp_path)
    dataset.data, dataset.targets = dataset.data[:3], dataset.targets[:3]
    assert len(dataset) == 3
    assert dataset[2][1] == 4


def test_missing_files_are_named(tmp_path):
    with pytest.raises(RuntimeError, match="train-images-idx3-ubyte and train-labels-idx1-ubyte .*download=True"):
        datasets.MNIST(tmp_path)


GOOD = idx_bytes(IMAGES)
PACKED = gzip.compress(GOOD, mtime=0)  # the same in every process, for it names tests


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"", "ends within its header"),
        ("train-images-idx3-ubyte", GOOD[:10], "ends within its header"),
        ("train-images-idx3-ubyte", GOOD[:-1], "but there are 5487"),
        ("train-images-idx3-ubyte", GOOD + b"x", "but there are more"),
        ("train-images-idx3-ubyte", b"\x00\x00\x0d\x03" + GOOD[4:], "begins with 00000d03 instead of 00000803"),
        ("train-images-idx3-ubyte", b"<html>" + GOOD, "begins with 3c68746d"),
        ("train-images-idx3-ubyte", GOOD[:4] + b"\xff" * 12, "announces the shape"),
        ("train-images-idx3-ubyte.gz", PACKED[:-9], "is damaged"),
        ("train-images-idx3-ubyte.gz", PACKED[:100], "is damaged"),
        ("train-images-idx3-ubyte.gz", PACKED[:60] + b"\xff" * 60 + PACKED[120:], "is damaged"),
        ("train-images-idx3-ubyte.gz", GOOD, "is damaged"),
        ("train-images-idx3-ubyte.gz", PACKED[:-8] + b"\0" * 8, "is damaged"),
        ("train-labels-idx1-ubyte", idx_bytes(LABELS[:6]), "7 images, but .* has 6 labels"),
        ("train-labels-idx1-ubyte", idx_bytes(np.full(7, 10, np.uint8)), "label 10, but there are 10 classes"),
        ("train-labels-idx1-ubyte", GOOD, "instead of 00000801"),
    ],
)
def test_damaged_mnist_is_refused_by_name(tmp_path, name, content, message):
    write_mnist(tmp_path)
    os.unlink(tmp_path / name.removesuffix(".gz"))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RuntimeError, match=message) as caught:
        datasets.MNIST(tmp_path)
    assert str(tmp_path / name) in str(caught.value)


def test_idx_of_no_images(tmp_path):
    (tmp_path / "empty").write_bytes(idx_bytes(np.zeros((0, 28, 28), np.uint8)))
    assert idx.read(str(tmp_path / "empty"), 3).shape == (0, 28, 28)


# --- CIFAR ---

PIXELS = RANDOM.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)


def cifar_files(kind, binary=False, labels=(0, 9, 5, 3), pixels=PIXELS):
    """The files of a small CIFAR by name."""
    fine = kind is datasets.CIFAR100
    files = {}
    for name in ["train", "test"] if fine else [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        if binary:
            columns = [np.zeros(len(labels), np.uint8)] if fine else []
            columns += [np.array(labels, np.uint8)]
            records = np.concatenate([np.stack(columns, 1), pixels.reshape(len(pixels), -1)], axis=1)
            files[name + ".bin"] = records.tobytes()
        else:
            content = {"data": pixels.reshape(len(pixels), -1), "fine_labels" if fine else "labels": list(labels)}
            files[name] = pickle.dumps(content, 2)
    return files


def folder_of(kind, binary):
    return kind.binary_folder if binary else kind.base_folder


def write_files(folder, files):
    os.makedirs(folder, exist_ok=True)
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)


def write_archive(path, folder, files, extra=()):
    with tarfile.open(path, "w:gz") as tar:
        for member, content in extra:
            tar.addfile(member, io.BytesIO(content))
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def check(dataset, parts):
    assert dataset.data.shape == (4 * parts, 32, 32, 3)
    image, label = dataset[1]
    assert (image == PIXELS[1].transpose(1, 2, 0)).all()
    assert label == 9
    assert type(label) is int
    assert dataset.targets == [0, 9, 5, 3] * parts


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("kind", [datasets.CIFAR10, datasets.CIFAR100])
@pytest.mark.parametrize("layout", ["folder", "root", "archive"])
def test_cifar_is_found_in_every_layout(tmp_path, kind, layout, binary):
    folder, files = folder_of(kind, binary), cifar_files(kind, binary)
    if layout == "archive":
        name = list(kind.archives)[binary]
        write_archive(tmp_path / name, folder, files)
    else:
        write_files(tmp_path / folder if layout == "folder" else tmp_path, files)
    check(kind(tmp_path), 5 if kind is datasets.CIFAR10 else 1)
    check(kind(tmp_path, train=False), 1)


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol(tmp_path, protocol):
    batch = {b"data": PIXELS.reshape(4, -1), b"labels": [np.int64(0), 9, 5, 3], "filenames": ["å"]}
    write_files(tmp_path, {"test_batch": pickle.dumps(batch, protocol)})
    check(datasets.CIFAR10(tmp_path, train=False), 1)


def test_labels_as_an_array(tmp_path):
    batch = {"data": PIXELS.reshape(4, -1), "labels": np.array([0, 9, 5, 3])}
    write_files(tmp_path, {"test_batch": pickle.dumps(batch)})
    check(datasets.CIFAR10(tmp_path, train=False), 1)


def test_classes():
    assert len(datasets.CIFAR100.classes) == 100
    assert datasets.CIFAR100.classes[19] == "cattle"
    assert datasets.CIFAR10.classes.index("frog") == 6


class Evil:
    def __reduce__(self):
        return os.system, ("exit 1",)


def evil_array():
    array = np.array([Evil()], dtype=object)
    return pickle.dumps({"data": array, "labels": [0]}, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"data": Evil(), "labels": []}, 2), r"asks for (posix|nt|os)\.system"),
        (evil_array(), "object is no dtype of plain numbers"),
        (b"cbuiltins\neval\n(S'1'\ntR.", r"asks for builtins\.eval"),
        (b"cnumpy\nload\n(S'x'\ntR.", r"asks for numpy\.load"),
        (b"cnumpy\nndarray\n((I1\ntS'O'\ntR.", "damaged or not plain data"),
        (b"", "damaged or not plain data"),
        (b"hello", "damaged or not plain data"),
        (pickle.dumps([1, 2]), "holds a list, not a dict"),
        (pickle.dumps({}), r"data should be a uint8 array \(N, 3072\)"),
        (pickle.dumps({"data": np.zeros((2, 3072)), "labels": [0, 0]}), "uint8 array"),
        (pickle.dumps({"data": np.zeros((2, 100), np.uint8), "labels": [0, 0]}), "uint8 array"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}), "2 images, but 1 labels"),
        (pickle.dumps({"data": np.zeros((2, 3072), np.uint8)}), "2 images, but no list of labels"),
        (pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}), "label 10, but labels are 0 to 9"),
        (pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": ["a"]}), "label 'a'"),
    ],
)
def test_bad_pickles_are_refused_by_name(tmp_path, content, message):
    write_files(tmp_path, {"test_batch": content})
    with pytest.raises(RuntimeError, match=message) as caught:
        datasets.CIFAR10(tmp_path, train=False)
    assert str(tmp_path / "test_batch") in str(caught.value)


def test_cut_pickles_are_refused(tmp_path):
    content = cifar_files(datasets.CIFAR10)["test_batch"]
    for length in range(0, len(content), 997):
        write_files(tmp_path, {"test_batch": content[:length]})
        with pytest.raises(RuntimeError, match="test_batch is damaged"):
            datasets.CIFAR10(tmp_path, train=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "0 bytes"), (bytes(3072), "no whole number of records of 3073"), (b"\x0a" + bytes(3072), "label 10")],
)
def test_bad_binaries_are_refused_by_name(tmp_path, content, message):
    write_files(tmp_path, {"test_batch.bin": content})
    with pytest.raises(RuntimeError, match=message) as caught:
        datasets.CIFAR10(tmp_path, train=False)
    assert str(tmp_path / "test_batch.bin") in str(caught.value)


def test_missing_cifar(tmp_path):
    write_files(tmp_path, {"data_batch_1": b""})  # one of five is not enough
    with pytest.raises(RuntimeError, match="Dataset not found.*cifar-10-batches-py.*download=True"):
        datasets.CIFAR10(tmp_path)


def test_archive_can_only_write_what_is_wanted(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    members = []
    for name in ("../evil", "/tmp/numgrad-evil", "cifar-10-batches-py/../../evil", "cifar-10-batches-py/other", "evil"):
        member = tarfile.TarInfo(name)
        member.size = 1
        members.append((member, b"x"))
    link = tarfile.TarInfo("cifar-10-batches-py/test_batch")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members.append((link, b""))
    folder = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
    folder.type = tarfile.DIRTYPE
    members.append((folder, b""))
    files = cifar_files(datasets.CIFAR10)
    write_archive(root / "cifar-10-python.tar.gz", "cifar-10-batches-py", files, members)
    check(datasets.CIFAR10(root, train=False), 1)
    assert sorted(os.listdir(tmp_path)) == ["root"]
    assert sorted(os.listdir(root)) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]
    assert sorted(os.listdir(root / "cifar-10-batches-py")) == sorted(files)
    assert not os.path.islink(root / "cifar-10-batches-py" / "test_batch")
    assert not os.path.exists("/tmp/numgrad-evil")


def test_damaged_archive_is_refused_by_name_and_leaves_nothing_half(tmp_path):
    files = {"test_batch": RANDOM.bytes(200000)}
    path = tmp_path / "cifar-10-python.tar.gz"
    write_archive(path, "cifar-10-batches-py", files)
    content = path.read_bytes()
    for bad in (content[: len(content) // 2], b"no archive", content[:30] + b"\xff" * 50 + content[80:]):
        path.write_bytes(bad)
        with pytest.raises(RuntimeError, match="is damaged") as caught:
            datasets.CIFAR10(tmp_path, train=False)
        assert str(path) in str(caught.value)
        assert not list(tmp_path.glob("cifar-10-batches-py/*"))


def test_archive_members_have_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_LARGEST_MEMBER", 1000)
    write_archive(tmp_path / "cifar-10-python.tar.gz", "cifar-10-batches-py", cifar_files(datasets.CIFAR10))
    with pytest.raises(RuntimeError, match="data_batch_1 would take"):
        datasets.CIFAR10(tmp_path)


# --- folders of images ---


def write_images(root):
    from numgrad.vision.io import write_array

    for name, value in (
        ("cat/2.png", 2),
        ("cat/1.PNG", 1),
        ("cat/more/3.png", 3),
        ("ant/1.png", 4),
        ("ant/note.txt", 0),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("txt"):
            path.write_text("no image")
        else:
            write_array(np.full((4, 5), value, np.uint8), path, "png")


def test_image_folder(tmp_path):
    write_images(tmp_path)
    dataset = datasets.ImageFolder(tmp_path, transform=transforms.PILToTensor())
    assert dataset.classes == ["ant", "cat"]
    assert dataset.class_to_idx == {"ant": 0, "cat": 1}
    assert dataset.targets == [0, 1, 1, 1]
    assert [image[0, 0, 0].item() for image, _ in dataset] == [4, 1, 2, 3]
    assert dataset[0][0].shape == (3, 4, 5)
    assert dataset.imgs == dataset.samples


def test_image_folder_with_own_rules(tmp_path):
    write_images(tmp_path)
    dataset = datasets.ImageFolder(tmp_path, is_valid_file=lambda path: path.endswith("1.png"), allow_empty=True)
    assert [os.path.basename(path) for path, _ in dataset.samples] == ["1.png"]
    texts = datasets.DatasetFolder(tmp_path, os.path.basename, (".txt",), allow_empty=True)
    assert list(texts) == [("note.txt", 0)]


def test_image_folder_refuses_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="any class folder"):
        datasets.ImageFolder(tmp_path)
    write_images(tmp_path)
    (tmp_path / "bee").mkdir()
    with pytest.raises(FileNotFoundError, match="Found no valid file for the classes bee"):
        datasets.ImageFolder(tmp_path)
    with pytest.raises(ValueError, match="either extensions or is_valid_file"):
        datasets.DatasetFolder(tmp_path, str)


# --- what they share ---


def test_joint_transforms():
    class Pair(datasets.VisionDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return self._transformed(1, 2)

    assert Pair(transforms=lambda image, target: (target, image))[0] == (2, 1)
    assert "Root location: here" in repr(Pair("here"))
    with pytest.raises(ValueError, match="either transforms"):
        Pair(transforms=max, transform=max)
    with pytest.raises(NotImplementedError, match="__len__"):
        len(datasets.VisionDataset())
