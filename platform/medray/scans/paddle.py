"""PaddleOCR 3.7 on ONNX Runtime: PP-OCRv6 small, without PaddlePaddle and without a network."""

from __future__ import annotations

import importlib.metadata
import logging
import os
from pathlib import Path

import numpy as np

from medray.scans.engines import EngineUnavailable, Image, Line, Quad, RecognitionError
from medray.scans.paddle_weights import bundled_model_dirs, default_cache_dir

# Longest side that the detector sees. At 960 a page costs 1.9 CPU-s against 3.2 at full size,
# with an equal or lower character error rate; lines are still cut from the full-size page.
DETECTION_SIDE_PX = 960


class PaddleEngine:
    """Reads en, zh, ja, fr and es; one instance holds about 1.1 GB and uses one thread.

    Without ``detection_dir`` and ``recognition_dir`` the bundled weights are used, whose folders
    are built under ``cache_dir`` (default ``~/.cache/medray/paddle``). A folder of your own
    holds ``inference.onnx`` and ``inference.yml``. Raises ``EngineUnavailable``.
    """

    name = "paddle"

    def __init__(
        self,
        cache_dir: Path | None = None,
        detection_dir: Path | None = None,
        recognition_dir: Path | None = None,
    ) -> None:
        cache_dir = cache_dir or default_cache_dir()
        # paddlex reads both on import: it writes below the first and, without the second,
        # asks five hosting platforms whether they can be reached.
        os.environ.setdefault("PADDLE_PDX_CACHE_HOME", str(cache_dir / "paddlex"))
        os.environ.setdefault("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True")
        try:
            import cv2
            from onnxruntime.capi import onnxruntime_pybind11_state as onnx_errors
            from paddleocr import PaddleOCR
        except ImportError as error:  # opencv-contrib links libGL.so.1 and libgthread-2.0.so.0
            raise EngineUnavailable(
                f"PaddleOCR cannot load ({error}): apt-get install libgl1 libglib2.0-0"
            ) from error
        cv2.setNumThreads(1)
        # It tells of each model that it loads, in green, between the lines of the run.
        logging.getLogger("paddlex").setLevel(logging.WARNING)
        if detection_dir is None or recognition_dir is None:
            bundled = bundled_model_dirs(cache_dir)
            detection_dir = detection_dir or bundled[0]
            recognition_dir = recognition_dir or bundled[1]
        self.version = _version(detection_dir, recognition_dir)
        self._native_errors = (
            cv2.error, onnx_errors.Fail, onnx_errors.RuntimeException, onnx_errors.InvalidArgument,
        )  # fmt: skip
        self._pipeline = PaddleOCR(
            text_detection_model_name=_model_name(detection_dir),
            text_detection_model_dir=str(detection_dir),
            text_recognition_model_name=_model_name(recognition_dir),
            text_recognition_model_dir=str(recognition_dir),
            # Left at None, each of these three turns itself on and downloads a model. The line
            # classifier is harmful besides: it flips whole lines of upright book pages.
            use_doc_orientation_classify=False,
            use_doc_unwarping=False,
            use_textline_orientation=False,
            text_det_limit_side_len=DETECTION_SIDE_PX,
            text_det_limit_type="max",
            engine="onnxruntime",
            # More threads cost more: 2.5 CPU-s a page at 1, 3.8 at 2. Run more actors instead.
            engine_config={"intra_op_num_threads": 1, "inter_op_num_threads": 1},
        )

    def read(self, image: Image) -> list[Line]:
        """Return the lines of ``image`` (height x width x 3, RGB); ``RecognitionError``."""
        bgr = np.ascontiguousarray(image[:, :, ::-1])
        try:
            (page,) = self._pipeline.predict(bgr)
        except self._native_errors as error:
            raise RecognitionError(f"PaddleOCR: {' '.join(str(error).split())}") from error
        return [
            Line(_quad(polygon), text, float(score))
            for polygon, text, score in zip(
                page["rec_polys"], page["rec_texts"], page["rec_scores"], strict=True
            )
            if text.strip()
        ]


def _version(detection_dir: Path, recognition_dir: Path) -> str:
    """Name the library and the two model folders, for a page read by others is another page."""
    library = importlib.metadata.version("paddleocr")
    return f"{library} {detection_dir.name} {recognition_dir.name}"


def _model_name(model_dir: Path) -> str:
    """Read ``Global.model_name``; PaddleOCR takes a folder only together with the right name."""
    with (model_dir / "inference.yml").open(encoding="utf-8") as configuration:
        for line in configuration:  # not yaml: parsing 18,708 characters takes a second
            key, _, value = line.strip().partition(": ")
            if key == "model_name":
                return value.strip("'\"")
    raise EngineUnavailable(f"{model_dir}/inference.yml has no Global.model_name")


def _quad(polygon: np.ndarray) -> Quad:
    a, b, c, d = ((float(x), float(y)) for x, y in polygon)
    return a, b, c, d
