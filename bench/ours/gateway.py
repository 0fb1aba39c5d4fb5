"""`python -m bench.ours.gateway`: the gateway itself, which knows the events of the bench, too."""

import sys

from bench.contenders.trunkline import Parcel
from bench.ours.events import DueParcel
from gateway.__main__ import main
from shared.contracts import CATALOGUE

if __name__ == "__main__":
    for contract in (Parcel, DueParcel):
        CATALOGUE.add(contract)
    sys.exit(main())
