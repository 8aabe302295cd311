package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/streamproc/streamproc/internal/process"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The user that a cluster with KafkaOptions.SASL knows, by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
const (
	User     = "alice"
	Password = "alice-secret"
)

// KafkaOptions describe a cluster. The zero value is one broker.
type KafkaOptions struct {
	Brokers    int               // 1 or 3; 0 is 1
	Properties map[string]string // added to every server.properties, or in place of ours
	SASL       bool              // adds a listener that asks for User and Password
	TLS        bool              // with SASL: that listener speaks TLS, by the certificates of CAFile
	Proxied    bool              // adds a listener that clients reach by Fronts alone
	HeapMB     int               // of each broker; 0 is 512
	Features   map[string]int    // finalized levels that are not to be the newest, as transaction.version: 1
}

const defaultHeapMB = 512

// Kafka is a cluster of Apache Kafka. Its methods are for one goroutine at a time.
type Kafka struct {
	options KafkaOptions
	jars    string
	dir     string
	nodes   []*node
	certs   *certificates // with KafkaOptions.TLS
}

// StartKafka starts a cluster and waits until all its brokers are registered. Stop it in the end: that removes its data.
func StartKafka(ctx context.Context, o KafkaOptions) (*Kafka, error) {
	if o.Brokers == 0 {
		o.Brokers = 1
	}
	if o.Brokers != 1 && o.Brokers != 3 {
		return nil, fmt.Errorf("starting Kafka: %d brokers are neither 1 nor 3", o.Brokers)
	}
	if o.HeapMB == 0 {
		o.HeapMB = defaultHeapMB
	}
	jars, err := Jars(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "streamproc-kafka-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for Kafka: %w", err)
	}
	k := &Kafka{options: o, jars: jars, dir: dir}
	if err := k.begin(ctx); err != nil {
		return nil, errors.Join(err, k.Stop())
	}
	return k, nil
}

func (k *Kafka) begin(ctx context.Context) error {
	var err error
	if k.options.TLS {
		if k.certs, err = certify(k.dir); err != nil {
			return err
		}
	}
	if k.nodes, err = layOut(k.options, k.dir, k.certs); err != nil {
		return err
	}
	for _, n := range k.nodes {
		if err := k.format(ctx, n); err != nil {
			return err
		}
	}
	return k.Restart(ctx)
}

// clusterID is the same for every cluster: no two of them ever meet.
const clusterID = "c3RyZWFtcHJvYy1zZXJ2ZQ"

func (k *Kafka) format(ctx context.Context, n *node) error {
	args := []string{"-cp", k.classpath(), "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", n.properties}
	if k.options.Brokers == 1 {
		args = append(args, "--standalone")
	}
	for feature, level := range k.options.Features {
		args = append(args, "--feature", fmt.Sprintf("%s=%d", feature, level))
	}
	if k.options.SASL {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", mechanism+"=[name="+User+",password="+Password+"]")
		}
	}
	if out, err := exec.CommandContext(ctx, "java", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("formatting the storage of broker %d (make deps installs what is missing): %w\n%s", n.id, err, out)
	}
	return nil
}

func (k *Kafka) classpath() string { return filepath.Join(k.jars, "*") }

// Brokers returns the addresses of the plain listeners.
func (k *Kafka) Brokers() []string {
	var addrs []string
	for _, n := range k.nodes {
		addrs = append(addrs, local(n.plain))
	}
	return addrs
}

// SASLBrokers returns the addresses of the listeners that ask for a password, if KafkaOptions.SASL is set.
func (k *Kafka) SASLBrokers() []string {
	var addrs []string
	for _, n := range k.nodes {
		addrs = append(addrs, local(n.sasl))
	}
	return addrs
}

// CAFile returns the file of the authority that vouches for the brokers, and that of one which does not.
func (k *Kafka) CAFile() (ours, stranger string) { return k.certs.ca, k.certs.stranger }

// Front is where clients look for a broker, and where it is: a proxy listens at the one and dials the other.
type Front struct{ Listen, Dial string }

// Fronts are those of the listener that KafkaOptions.Proxied adds, by broker. Nobody listens there before a proxy does.
func (k *Kafka) Fronts() []Front {
	var fronts []Front
	for _, n := range k.nodes {
		fronts = append(fronts, Front{local(n.front), local(n.behind)})
	}
	return fronts
}

// Signal sends a signal to a broker that runs.
func (k *Kafka) Signal(broker int, s syscall.Signal) {
	if p := k.nodes[broker].process; p != nil {
		p.Signal(s)
	}
}

// Shutdown ends a broker in order: it hands its partitions over first.
func (k *Kafka) Shutdown(ctx context.Context, broker int) error {
	n := k.nodes[broker]
	if n.process == nil {
		return nil
	}
	n.process.Signal(syscall.SIGTERM)
	select {
	case <-n.process.Done():
	case <-ctx.Done():
		return fmt.Errorf("waiting for broker %d to end: %w", n.id, context.Cause(ctx))
	}
	n.process = nil
	return nil
}

// Kill ends the brokers with these numbers, from 0, as a power cut would: all of them if none is named.
func (k *Kafka) Kill(brokers ...int) {
	for _, n := range k.choose(brokers) {
		if n.process != nil {
			n.process.Kill()
			n.process = nil
		}
	}
}

// Restart starts the brokers with these numbers, or all, that are not running, on their old data and ports, and waits
// until every broker that runs is registered.
func (k *Kafka) Restart(ctx context.Context, brokers ...int) error {
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	for _, n := range k.choose(brokers) {
		if n.process != nil {
			continue
		}
		heap := fmt.Sprintf("-Xmx%dm", k.options.HeapMB)
		logging := "-Dlog4j2.configurationFile=" + filepath.Join(k.dir, "log4j2.yaml")
		p, err := process.Start(process.Options{Path: "java", Log: n.log,
			Args: []string{"-Xms128m", heap, logging, "-cp", k.classpath(), "kafka.Kafka", n.properties}})
		if err != nil {
			return err
		}
		n.process = p
	}
	return k.await(ctx)
}

func (k *Kafka) await(ctx context.Context) error {
	running := slices.DeleteFunc(slices.Clone(k.nodes), func(n *node) bool { return n.process == nil })
	for _, n := range running {
		err := n.process.Await(ctx, func(ctx context.Context) error { return registered(ctx, local(n.plain), len(running)) })
		if err != nil {
			return err
		}
	}
	return nil
}

// registered asks one broker whether it knows of at least n brokers, itself among them.
func registered(ctx context.Context, addr string, n int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RequestRetries(0))
	if err != nil {
		return err
	}
	defer client.Close()
	brokers, err := kadm.NewClient(client).ListBrokers(ctx)
	if err != nil {
		return err
	}
	if len(brokers) < n {
		return fmt.Errorf("%d of %d brokers are registered", len(brokers), n)
	}
	return nil
}

func (k *Kafka) choose(brokers []int) []*node {
	if len(brokers) == 0 {
		return k.nodes
	}
	var chosen []*node
	for _, i := range brokers {
		chosen = append(chosen, k.nodes[i])
	}
	return chosen
}

// Stop ends the cluster and removes its data. Nothing can be done with it afterwards.
func (k *Kafka) Stop() error {
	k.Kill() // the data go away: nothing is gained by an orderly end
	if err := os.RemoveAll(k.dir); err != nil {
		return fmt.Errorf("removing the data of Kafka: %w", err)
	}
	return nil
}
