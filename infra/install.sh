#!/bin/sh
# A production install: as `make up`, but nobody is made owner and no sample is deployed. It prints
# a one-time token with which the operator makes the first owner.
set -eu
exec sh "$(dirname "$0")/up.sh" production
