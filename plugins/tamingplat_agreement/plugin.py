"""What this plugin offers."""

from __future__ import annotations

from tamingplat.interfaces import Component, hookimpl
from tamingplat_agreement.config import (
    AgreementConfig,
    ClassAgreementConfig,
    CompletionAgreementConfig,
    EdgeAgreementConfig,
    GivenRegionConfig,
    KeypointAgreementConfig,
    LowResolutionAgreementConfig,
)


@hookimpl
def tamingplat_components() -> list[Component]:
    """Metrics of obedience, one for each kind of condition."""
    return [
        Component(
            kind="metric",
            name="class-agreement",
            factory="tamingplat_agreement.classes:ClassAgreement",
            summary="Accuracy of a classifier that looks for the class that an image was made for",
            config=ClassAgreementConfig,
        ),
        Component(
            kind="metric",
            name="segmentation-agreement",
            factory="tamingplat_agreement.maps:SegmentationAgreement",
            summary="Mean IoU of the classes that a fitted estimator sees in an image and those of its label map",
            config=AgreementConfig,
        ),
        Component(
            kind="metric",
            name="depth-agreement",
            factory="tamingplat_agreement.maps:DepthAgreement",
            summary="Rank correlation of the depth that a fitted estimator sees in an image and that of its depth map",
            config=AgreementConfig,
        ),
        Component(
            kind="metric",
            name="edge-agreement",
            factory="tamingplat_agreement.edges:EdgeAgreement",
            summary="F-score of an image's Canny edges beside those that it was made for, within a tolerance",
            config=EdgeAgreementConfig,
        ),
        Component(
            kind="metric",
            name="low-resolution-agreement",
            factory="tamingplat_agreement.low_resolution:LowResolutionAgreement",
            summary="PSNR of an image made smaller beside the small image that it was made for",
            config=LowResolutionAgreementConfig,
        ),
        Component(
            kind="metric",
            name="keypoint-agreement",
            factory="tamingplat_agreement.keypoints:KeypointAgreement",
            summary="Distance in pixels of the joints that a fitted estimator finds in an image and those that it was made for",
            config=KeypointAgreementConfig,
        ),
        Component(
            kind="metric",
            name="completion-agreement",
            factory="tamingplat_agreement.completion:CompletionAgreement",
            summary="Likelihood of the true rest of an image, given its own part and given another image's",
            config=CompletionAgreementConfig,
        ),
        Component(
            kind="metric",
            name="given-region",
            factory="tamingplat_agreement.completion:GivenRegion",
            summary="Perceptual distance and PSNR of the given part of completed images beside the original's",
            config=GivenRegionConfig,
        ),
    ]
