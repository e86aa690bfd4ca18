"""Whether a run may be accepted at all: what the schema can't know because the chart says it."""

from hantei_operator.domain.facts import Policy, RunFacts


def refusal(run: RunFacts, policy: Policy) -> str:
    """Why a run can never be launched, with the field, the value, the limit and the way out; empty when it can."""
    spec = run.spec
    if spec is None:
        return f"the spec is not valid for this operator: {run.spec_error}"
    if spec.image is not None and not _allowed(spec.image, policy):
        return (
            f"spec.image {spec.image!r} starts with none of the allowed prefixes ({', '.join(policy.image_prefixes) or 'none'}): "
            "use an image from there, or let the platform engineer extend the chart's evaluations.imagePrefixes"
        )
    foreign = sorted(set(spec.resources.node_selector) - set(policy.node_selector_keys))
    if foreign:
        allowed = ", ".join(policy.node_selector_keys) or "none"
        return (
            f"spec.resources.nodeSelector key {foreign[0]!r} is not allowed (allowed: {allowed}): drop it, "
            "or let the platform engineer extend the chart's evaluations.nodeSelectorKeys"
        )
    if spec.clocks.wall_seconds > policy.max_wall_seconds:
        return (
            f"spec.clocks.wallSeconds is {spec.clocks.wall_seconds} s, the most is {policy.max_wall_seconds} s: lower it, "
            "or let the platform engineer raise the chart's evaluations.maxWallSeconds"
        )
    return ""


def _allowed(image: str, policy: Policy) -> bool:
    """The default image is; any other must go on after a prefix at a boundary: ml/ is no prefix of ml-evil/."""
    return image == policy.default_image or any(
        image == prefix or (image.startswith(prefix) and (prefix[-1:] in "/:@" or image[len(prefix)] in "/:@"))
        for prefix in policy.image_prefixes
        if prefix
    )
