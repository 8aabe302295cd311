#!/usr/bin/env bash
# Installs what the tests need and does not find: redis-server from the distribution, Apache Kafka 4.4 from Maven.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v redis-server > /dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server > /dev/null
fi
jars=${STREAMPROC_KAFKA_JARS:-$HOME/.cache/streamproc/kafka-4.4.0}
if [ ! -f "$jars/complete" ]; then
  mkdir -p "$jars"
  mvn -q -B -f "$here/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars"
  touch "$jars/complete"
fi
