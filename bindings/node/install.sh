#!/bin/sh
# install.sh DIR: a fresh project in DIR with the package of dist/ installed, and this binding's tests and README.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
printf '{"name": "user-of-sandbox-spawn", "private": true, "type": "module"}\n' > package.json
npm install --silent --no-audit --no-fund "$here"/dist/*.tgz typescript @types/node@20
mkdir test
cp "$here"/test/* "$here"/README.md "$here"/../scenarios.json test/
mv test/tsconfig.json test/types.ts .
