"""Select the towns of GeoNames: names in Latin letters, of the countries that have many."""

import json
import re
import unicodedata

from data.building.listing import usable
from models.spelling import normalize

COLUMNS = ("name", "country")
# Countries with more than 3,000 names, and Ireland, whose names are like Britain's.
COUNTRIES = {
    "AU": "australia",
    "BR": "brazil",
    "CA": "canada",
    "CI": "ivory-coast",
    "CN": "china",
    "DE": "germany",
    "ES": "spain",
    "FR": "france",
    "GB": "united-kingdom",
    "ID": "indonesia",
    "IE": "ireland",
    "IN": "india",
    "IT": "italy",
    "MX": "mexico",
    "PH": "philippines",
    "PL": "poland",
    "RO": "romania",
    "RU": "russia",
    "TR": "turkey",
    "UA": "ukraine",
    "US": "united-states",
}
# Several signs stand for an apostrophe, and for a hyphen.
_SIGNS = str.maketrans({**dict.fromkeys("‘’ʻʼ`´", "'"), **dict.fromkeys("‐‑–", "-")})
# Turkish has two letters i; Romanian has letters with a comma, for which many write a cedilla.
_LETTERS = {"TR": str.maketrans("Iİ", "ıi"), "RO": str.maketrans("ŞşŢţ", "ȘșȚț")}
# What GeoNames adds to tell towns apart: "El Abra (San Felipe)".
_ADDITION = re.compile(r"\s*\([^()]*\)$")
_NAME = re.compile(r"'?[^\W\d_]+(?:(?:[.'][ -]?| ?- ?| '?)[^\W\d_]+)*[.']?")


def town_names(content: bytes) -> list[tuple[str, str]]:
    """Return names and countries of a file of GeoNames's cities, sorted, each name once for each country."""
    cities = json.loads(content).values()
    rows = {
        (name, COUNTRIES[city["countrycode"]])
        for city in cities
        if city["countrycode"] in COUNTRIES and _is_name(name := _plain(city["name"], city["countrycode"]))
    }
    names = usable({name for name, _ in rows})
    return sorted(row for row in rows if row[0] in names)


def _plain(name: str, country: str) -> str:
    composed = unicodedata.normalize("NFC", name).translate(_SIGNS).translate(_LETTERS.get(country, {}))
    return normalize(_ADDITION.sub("", composed))


def _is_name(name: str) -> bool:
    """Return whether a name has two Latin letters or more, and no other signs than those between letters."""
    return len(name) > 1 and _NAME.fullmatch(name) is not None and all(map(_is_latin, filter(str.isalpha, name)))


def _is_latin(letter: str) -> bool:
    return unicodedata.name(letter).startswith("LATIN ")
