"""A licence as the Hub's card names it: by its id, or as "other" with its own name."""

# Those of the Hub's list that weights and photos come under; the Hub's ids are lower case.
KNOWN = frozenset(
    {
        *("afl-3.0", "agpl-3.0", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc", "cc0-1.0"),
        *("cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0"),
        *("cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0"),
        *("cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0", "mit"),
        *("mpl-2.0", "odbl", "odc-by", "openrail", "unlicense", "zlib", "unknown"),
    }
)


def licence_fields(licence: str | None) -> dict[str, str]:
    """The card's fields: "license", and for one that the Hub does not list "license_name"."""
    if not licence:
        return {}
    known = licence.strip().lower().replace(" ", "-")
    return {"license": known} if known in KNOWN else {"license": "other", "license_name": licence.strip()}
