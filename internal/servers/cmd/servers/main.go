// Command servers brings up a real Kafka and a real Redis. With a command it runs that with their addresses in its
// environment, takes them down, and ends with its status; without one it waits for an interrupt.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"github.com/streamproc/streamproc/internal/python"
	"github.com/streamproc/streamproc/internal/servers"
)

func main() {
	brokers := flag.Int("brokers", 1, "brokers of Kafka: 1 or 3")
	fetch := flag.Bool("fetch", false, "fetch the jars of Kafka, and what else the tests want, and start nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *brokers, *fetch, flag.Args())
	stop()
	var ended *commandError
	if errors.As(err, &ended) {
		os.Exit(max(ended.ExitCode(), 1)) // -1 where a signal ended it
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// commandError says that the command ended with a status of its own, and has said why. Maven's would be silent with it.
type commandError struct{ *exec.ExitError }

// addresses are the variables by which tests find the servers, and those by which pipelines do.
func addresses(brokers []string, redis string) []string {
	kafka := strings.Join(brokers, ",")
	return []string{servers.KafkaVariable + "=" + kafka, servers.RedisVariable + "=" + redis, "KAFKA_BROKERS=" + kafka, "REDIS_ADDR=" + redis}
}

func run(ctx context.Context, brokers int, fetch bool, command []string) (err error) {
	if fetch {
		_, kafka := servers.Jars(ctx)
		_, engine := python.Engine(ctx)
		return errors.Join(kafka, engine)
	}
	redis, err := servers.StartRedis(ctx, servers.RedisOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.Stop()) }()
	kafka, err := servers.StartKafka(ctx, servers.KafkaOptions{Brokers: brokers})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kafka.Stop()) }()
	environment := addresses(kafka.Brokers(), redis.Addr())
	for _, variable := range environment {
		fmt.Println("export", variable)
	}
	if len(command) == 0 {
		<-ctx.Done()
		return nil
	}
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Env = append(os.Environ(), environment...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	err = c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &commandError{exit}
	}
	return err
}
