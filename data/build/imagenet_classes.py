"""Write the 1000 class names of ImageNet, in the order of the networks' outputs, from torchvision.

Run it from the project's root, in an environment with the build packages::

    python -m data.build.imagenet_classes
"""

from torchvision.models._meta import _IMAGENET_CATEGORIES

from data.build.sources import DATA


def main() -> None:
    """Write one name a line."""
    (DATA / "imagenet_classes.txt").write_text(
        "\n".join(_IMAGENET_CATEGORIES) + "\n", encoding="utf-8"
    )
    print(f"{len(_IMAGENET_CATEGORIES)} class names")


if __name__ == "__main__":
    main()
