"""The programs of a README, and what they print: for the tests of the bindings.

usage: readme.py README.md LANGUAGE DIRECTORY     writes 1.LANGUAGE, and what it prints, 1.text, where the README says it"""
import re
import sys
from pathlib import Path

readme, language, directory = sys.argv[1:]
number = 0
for kind, block in re.findall(r"^```(\w+)\n(.*?)^```$", Path(readme).read_text(), re.M | re.S):
    number += kind == language
    if kind in (language, "text"):
        (Path(directory) / f"{number}.{kind}").write_text(block)
