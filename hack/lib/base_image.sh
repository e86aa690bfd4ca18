# shellcheck shell=bash
# The base of every image: python:3.11-slim, or a debootstrapped Debian with its own Python 3.11 standing in for it.

DEBIAN_IMAGE=local/debian:$DEBIAN_SUITE

# choose_base_image: sets BASE_IMAGE to the one this machine uses
choose_base_image() {
  if image_exists "$PYTHON_IMAGE"; then BASE_IMAGE=$PYTHON_IMAGE
  elif image_exists "$DEBIAN_IMAGE"; then BASE_IMAGE=$DEBIAN_IMAGE
  elif pulled "$PYTHON_IMAGE"; then BASE_IMAGE=$PYTHON_IMAGE
  else
    say "$PYTHON_IMAGE can't be pulled here: $DEBIAN_IMAGE stands in for it"
    debian_image
    BASE_IMAGE=$DEBIAN_IMAGE
  fi
}

debian_image() {
  image_exists "$DEBIAN_IMAGE" && return
  need_packages debootstrap debian-archive-keyring
  timed "debootstrap $DEBIAN_SUITE" debootstrap_image
}

debootstrap_image() {
  local root
  root=$(scratch_dir debootstrap)
  logged debootstrap as_root debootstrap --variant=minbase \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    --include=python3,python3-venv,ca-certificates,iptables,iproute2,conntrack,kmod \
    "$DEBIAN_SUITE" "$root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}"
  as_root tar -C "$root" --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*' -c . |
    docker import -c 'CMD ["bash"]' - "$DEBIAN_IMAGE" >/dev/null
  scratch_dir debootstrap >/dev/null
}
