"""Model folders for PaddleOCR, made from the PP-OCRv6 weights inside the rapidocr wheel.

PaddleOCR downloads its models on first use and cannot start without a network. The rapidocr
wheel carries the same PP-OCRv6 small detector and recogniser as ONNX files (Apache-2.0), but
not the ``inference.yml`` that PaddleOCR demands beside them. The two configurations below are
reconstructed from the code of paddlex 3.7 that reads them; they are not Baidu's own files.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from medray.scans.engines import EngineUnavailable

DETECTION_MODEL = "PP-OCRv6_small_det"
RECOGNITION_MODEL = "PP-OCRv6_small_rec"

_DETECTION: dict[str, Any] = {
    "Global": {"model_name": DETECTION_MODEL},
    "PreProcess": {
        "transform_ops": [
            {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}},
            {"DetResizeForTest": {"resize_long": 960}},
            # ImageNet's mean and deviation; paddlex refuses a `channel_first` key here.
            {
                "NormalizeImage": {
                    "mean": [0.485, 0.456, 0.406],
                    "order": "hwc",
                    "scale": "1./255.",
                    "std": [0.229, 0.224, 0.225],
                }
            },
            {"ToCHWImage": None},
        ]
    },
    "PostProcess": {
        "name": "DBPostProcess",
        "thresh": 0.2,
        "box_thresh": 0.45,
        "unclip_ratio": 1.4,
        "max_candidates": 3000,
    },
}
_RECOGNITION: dict[str, Any] = {
    "Global": {"model_name": RECOGNITION_MODEL},
    "PreProcess": {
        "transform_ops": [
            {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}},
            {"RecResizeImg": {"image_shape": [3, 48, 320]}},
        ]
    },
    "PostProcess": {"name": "CTCLabelDecode"},
}


def installed_version() -> str:
    """Return the versions of PaddleOCR and of the wheel with its weights, where both can load.

    Raises ``EngineUnavailable``. Imports OpenCV, which is what misses system libraries; not
    PaddleOCR itself, whose import takes seconds.
    """
    try:
        import cv2  # noqa: F401

        libraries = ("paddleocr", "onnxruntime", "rapidocr")
        versions = {name: importlib.metadata.version(name) for name in libraries}
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        raise EngineUnavailable(
            f"PaddleOCR cannot load ({error}): apt-get install libgl1 libglib2.0-0"
        ) from error
    return f"{versions['paddleocr']} weights of rapidocr {versions['rapidocr']}"


def default_cache_dir() -> Path:
    """Return ``$XDG_CACHE_HOME/medray/paddle``, or the same below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "medray" / "paddle"


def bundled_model_dirs(cache_dir: Path) -> tuple[Path, Path]:
    """Return the folders of the bundled (detector, recogniser), building what is missing.

    Safe when many processes build at once: each writes a folder of its own and renames it; the
    first rename wins. Raises ``FileNotFoundError`` where rapidocr came without its weights.
    """
    # The file's place, without importing rapidocr and all that it imports.
    models = Path(str(importlib.metadata.distribution("rapidocr").locate_file("rapidocr/models")))
    return (
        _model_dir(cache_dir, models / "PP-OCRv6_det_small.onnx", _DETECTION),
        _model_dir(cache_dir, models / "PP-OCRv6_rec_small.onnx", _RECOGNITION),
    )


def _model_dir(cache_dir: Path, weights: Path, configuration: dict[str, Any]) -> Path:
    """Return the folder of one model; its name changes with the weights and the configuration."""
    identity = (
        f"{importlib.metadata.version('rapidocr')} {weights.stat().st_size} "
        f"{yaml.safe_dump(configuration)}"
    )
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    target = cache_dir / f"{configuration['Global']['model_name']}-{digest}"
    if target.exists():
        return target
    cache_dir.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=cache_dir))
    try:
        # A copy, not a link: the environment that holds rapidocr may be rebuilt or removed.
        shutil.copyfile(weights, building / "inference.onnx")
        if configuration is _RECOGNITION:
            decoder = {**configuration["PostProcess"], "character_dict": _characters(weights)}
            configuration = {**configuration, "PostProcess": decoder}
        document = yaml.safe_dump(configuration, allow_unicode=True, sort_keys=False)
        (building / "inference.yml").write_text(document, encoding="utf-8")
        building.chmod(0o755)  # mkdtemp gives 0700; other users' actors may share the cache
        _rename_unless_there(building, target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return target


def _rename_unless_there(building: Path, target: Path) -> None:
    """Rename a folder; when another process has put its equal at ``target`` first, leave that."""
    try:
        building.rename(target)
    except OSError:
        if not target.exists():
            raise


def _characters(weights: Path) -> list[str]:
    """Return the recogniser's 18,708 characters, which its ONNX metadata lists one per line."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
    listed: str = session.get_modelmeta().custom_metadata_map["character"]
    # Not splitlines(): U+0085 or U+2028 may be among the characters.
    return listed.removesuffix("\n").split("\n")
