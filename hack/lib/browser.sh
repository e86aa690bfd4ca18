# shellcheck shell=bash
# A browser without a window, for the tests that look at HTML pages: yours, or Debian's Chromium.

BROWSERS=(chromium chromium-browser google-chrome google-chrome-stable)

browser() {
  local program
  for program in "${BROWSERS[@]}"; do
    command -v "$program" >/dev/null && return
  done
  need_packages chromium
}
