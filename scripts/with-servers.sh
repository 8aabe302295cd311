#!/usr/bin/env bash
# with-servers.sh COMMAND…: runs a command beside a real Apache Kafka (KRaft, one node) and a real Redis on free ports of
# 127.0.0.1, named to it by STREAMPROC_TEST_KAFKA and STREAMPROC_TEST_REDIS. Data and logs live in a temporary folder;
# both servers end with the command.
set -euo pipefail
jars=${STREAMPROC_KAFKA_JARS:-$HOME/.cache/streamproc/kafka-4.4.0}
dir=$(mktemp -d)
pids=()
finish() {
  for p in "${pids[@]}"; do kill "$p" 2> /dev/null || true; done
  for p in "${pids[@]}"; do wait "$p" 2> /dev/null || true; done
  rm -rf "$dir"
}
trap finish EXIT

free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])' 2> /dev/null || node -e 's=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }
kafka=$(free) controller=$(free) redis=$(free)

cat > "$dir/server.properties" <<P
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$kafka,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$kafka
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$dir/kafka
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
P
id=$(tr -d - < /proc/sys/kernel/random/uuid | head -c 22)
java -cp "$jars/*" kafka.tools.StorageTool format --standalone -t "$id" -c "$dir/server.properties" > "$dir/format.log" 2>&1 || { cat "$dir/format.log" >&2; exit 1; }
java -Xms256m -Xmx512m -cp "$jars/*" kafka.Kafka "$dir/server.properties" > "$dir/kafka.log" 2>&1 < /dev/null &
pids+=($!)
redis-server --port "$redis" --bind 127.0.0.1 --dir "$dir" --appendonly yes --save '' > "$dir/redis.log" 2>&1 < /dev/null &
pids+=($!)

for port in "$kafka" "$redis"; do
  up=
  for _ in $(seq 240); do
    if (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; then up=1; break; fi
    sleep 0.25
  done
  if [ -z "$up" ]; then tail -n 30 "$dir"/*.log >&2; echo "the servers did not come up within 60 s" >&2; exit 1; fi
done
STREAMPROC_TEST_KAFKA=127.0.0.1:$kafka STREAMPROC_TEST_REDIS=127.0.0.1:$redis "$@"
