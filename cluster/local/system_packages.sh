#!/bin/sh
# Says which system packages are missing and installs them where it may.
# Debian's Python makes virtual environments only with python3-venv; PaddleOCR's image library loads
# libGL and GLib; Tesseract reads Russian. Always succeeds: without the scan readers' packages the
# quickstart goes on and its report says what was left out.
set -u
PATH="$PATH:/usr/sbin:/sbin"    # ldconfig is not on an ordinary user's

missing=""
python="${PYTHON:-python3}"
"$python" -c 'import ensurepip' 2>/dev/null \
    || missing="$missing python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
ldconfig -p 2>/dev/null | grep -q 'libGL\.so\.1' || missing="$missing libgl1"
ldconfig -p 2>/dev/null | grep -q 'libglib-2\.0\.so\.0' || missing="$missing libglib2.0-0"
ls /usr/share/tesseract-ocr/*/tessdata/rus.traineddata >/dev/null 2>&1 \
    || [ -f "${TESSDATA_PREFIX:-/nonexistent}/rus.traineddata" ] \
    || missing="$missing tesseract-ocr-rus"

if [ -z "$missing" ]; then
    echo "system packages: all present"
    exit 0
fi
echo "system packages missing:$missing"

run=""
[ "$(id -u)" -eq 0 ] || run="sudo -n"
if ! command -v apt-get >/dev/null || { [ -n "$run" ] && ! $run true 2>/dev/null; }; then
    echo "cannot install them from here; scans that need them will be left out"
    exit 0
fi
# shellcheck disable=SC2086  # a list of words
if $run apt-get update -qq && $run env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $missing >/dev/null; then
    echo "system packages installed:$missing"
else
    echo "installing them failed; scans that need them will be left out"
fi
exit 0
