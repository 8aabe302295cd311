package servers

import (
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/streamproc/streamproc/internal/process"
)

//go:embed log4j2.yaml
var logging []byte

// node is one server of a cluster: broker and controller in one.
type node struct {
	id                      int
	plain, sasl, controller int    // ports
	front, behind           int    // ports of the listener behind a proxy: as clients know it, and as it is
	properties, data, log   string // paths
	process                 *process.Process
}

const portsOfNode = 5

// layOut gives every node its ports, and writes its files into dir.
func layOut(o KafkaOptions, dir string, certs *certificates) ([]*node, error) {
	if err := os.WriteFile(filepath.Join(dir, "log4j2.yaml"), logging, 0o600); err != nil {
		return nil, fmt.Errorf("writing the logging of Kafka: %w", err)
	}
	ports, err := freePorts(portsOfNode * o.Brokers)
	if err != nil {
		return nil, err
	}
	nodes := make([]*node, o.Brokers)
	for i := range nodes {
		nodes[i] = &node{
			id:    i + 1,
			plain: ports[portsOfNode*i], sasl: ports[portsOfNode*i+1], controller: ports[portsOfNode*i+2],
			front: ports[portsOfNode*i+3], behind: ports[portsOfNode*i+4],
			properties: filepath.Join(dir, fmt.Sprintf("server-%d.properties", i+1)),
			data:       filepath.Join(dir, fmt.Sprintf("data-%d", i+1)),
			log:        filepath.Join(dir, fmt.Sprintf("kafka-%d.log", i+1)),
		}
	}
	for _, n := range nodes {
		if err := n.write(o, nodes, certs); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

func (n *node) write(o KafkaOptions, nodes []*node, certs *certificates) error {
	settings := n.settings(o, nodes)
	if certs != nil {
		certs.addTo(settings)
	}
	maps.Copy(settings, o.Properties)
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s=%s\n", key, settings[key])
	}
	if err := os.WriteFile(n.properties, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("writing the properties of broker %d: %w", n.id, err)
	}
	return nil
}

func (n *node) settings(o KafkaOptions, nodes []*node) map[string]string {
	replicas := strconv.Itoa(o.Brokers)
	s := map[string]string{
		"process.roles":                            "broker,controller",
		"node.id":                                  strconv.Itoa(n.id),
		"listeners":                                "PLAINTEXT://" + local(n.plain) + ",CONTROLLER://" + local(n.controller),
		"advertised.listeners":                     "PLAINTEXT://" + local(n.plain),
		"controller.listener.names":                "CONTROLLER",
		"listener.security.protocol.map":           "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,PROXIED:PLAINTEXT",
		"inter.broker.listener.name":               "PLAINTEXT",
		"log.dirs":                                 n.data,
		"offsets.topic.num.partitions":             "5",
		"offsets.topic.replication.factor":         replicas,
		"transaction.state.log.num.partitions":     "5",
		"transaction.state.log.replication.factor": replicas,
		"transaction.state.log.min.isr":            strconv.Itoa(o.Brokers/2 + 1),
		"min.insync.replicas":                      strconv.Itoa(o.Brokers/2 + 1),
		"group.initial.rebalance.delay.ms":         "0",
		"group.min.session.timeout.ms":             "1000",
		"auto.create.topics.enable":                "false",
	}
	if o.Brokers == 1 {
		s["controller.quorum.bootstrap.servers"] = local(n.controller)
	} else {
		s["controller.quorum.voters"] = voters(nodes)
	}
	if o.SASL {
		n.addSASL(s)
	}
	if o.Proxied {
		s["listeners"] += ",PROXIED://" + local(n.behind)
		s["advertised.listeners"] += ",PROXIED://" + local(n.front)
	}
	return s
}

func voters(nodes []*node) string {
	var list []string
	for _, n := range nodes {
		list = append(list, fmt.Sprintf("%d@%s", n.id, local(n.controller)))
	}
	return strings.Join(list, ",")
}

func (n *node) addSASL(s map[string]string) {
	s["listeners"] += ",SASL://" + local(n.sasl)
	s["advertised.listeners"] += ",SASL://" + local(n.sasl)
	s["sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"
	s["listener.name.sasl.plain.sasl.jaas.config"] =
		"org.apache.kafka.common.security.plain.PlainLoginModule required user_" + User + "=\"" + Password + "\";"
	for _, mechanism := range []string{"scram-sha-256", "scram-sha-512"} {
		s["listener.name.sasl."+mechanism+".sasl.jaas.config"] =
			"org.apache.kafka.common.security.scram.ScramLoginModule required;"
	}
}

// addTo makes the listener that asks for a password speak TLS.
func (c *certificates) addTo(s map[string]string) {
	s["listener.security.protocol.map"] = strings.Replace(s["listener.security.protocol.map"], "SASL_PLAINTEXT", "SASL_SSL", 1)
	s["listener.name.sasl.ssl.keystore.type"] = "PEM"
	s["listener.name.sasl.ssl.keystore.location"] = c.keystore
}
