// Package e2e holds the tests that run the real binary against a real Kafka and a real Redis, and judge it by what it
// wrote. `make test` brings the servers up and names them in STREAMPROC_TEST_KAFKA and STREAMPROC_TEST_REDIS.
package e2e
