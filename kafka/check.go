package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// checkPatience is how long one question to a cluster may take before it counts as away.
const checkPatience = 5 * time.Second

// Report is what Check found out about a cluster.
type Report struct {
	Errors   []error  // each keeps records from flowing, and says how to mend it
	Warnings []string // each is a promise that this cluster keeps less than in full
	Level    Level    // of transactions; "" where none are asked for
}

// Check asks a cluster whether a group can read topics and write outputs: that it answers and knows who we are, that the
// topics exist, and that the group, and its transactions if it has any, have a coordinator. Without one they are otherwise
// silent for ever: the client waits.
func Check(ctx context.Context, cluster Cluster, group Group, outputs []Output, log *slog.Logger) Report {
	cl, err := kgo.NewClient(append(cluster.options(log), kgo.RetryTimeout(checkPatience))...)
	if err != nil {
		return Report{Errors: []error{fmt.Errorf("making a Kafka client: %w", err)}}
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 4*checkPatience)
	defer cancel()
	c := &checking{cl: cl, adm: kadm.NewClient(cl), group: &group}
	if err := c.topics(ctx, outputs); err != nil {
		return Report{Errors: []error{unreachable(cluster, err)}}
	}
	c.coordinator(ctx, kindGroup, group.Name)
	if group.TransactionalID != "" {
		c.coordinator(ctx, kindTransaction, group.TransactionalID)
		c.transactions(ctx)
	}
	if group.Consumer {
		c.protocol(ctx)
	}
	return c.report
}

// checking is one Check under way.
type checking struct {
	cl      *kgo.Client
	adm     *kadm.Client
	group   *Group
	brokers kadm.BrokerDetails
	single  []string // topics of one replica
	report  Report
}

func (c *checking) fail(err error) { c.report.Errors = append(c.report.Errors, err) }
func (c *checking) warn(format string, args ...any) {
	c.report.Warnings = append(c.report.Warnings, fmt.Sprintf(format, args...))
}

func (c *checking) topics(ctx context.Context, outputs []Output) (err error) {
	if c.brokers, err = c.adm.ListBrokers(ctx); err != nil {
		return err
	}
	written, internal := map[string]bool{}, maps.Clone(c.group.TrustedTopics)
	if internal == nil {
		internal = map[string]bool{}
	}
	names := append([]string(nil), c.group.Topics...)
	for _, o := range outputs {
		if o.Cluster == nil {
			names = append(names, o.Topic)
			written[o.Topic] = true
			internal[o.Topic] = o.Internal
		}
	}
	topics, err := c.adm.ListTopics(ctx, names...)
	if err != nil {
		return err
	}
	for _, t := range topics.Sorted() {
		if internal[t.Topic] && errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
			continue // it is made at the start
		}
		if t.Err != nil {
			c.fail(topicError(t.Topic, t.Err))
		} else if written[t.Topic] && t.Partitions.NumReplicas() == 1 {
			c.single = append(c.single, t.Topic)
		}
	}
	return nil
}

func unreachable(cluster Cluster, err error) error {
	where := strings.Join(cluster.Brokers, ",")
	var stranger *tls.CertificateVerificationError
	switch {
	case errors.As(err, &stranger):
		return fmt.Errorf("Kafka at %s shows a certificate that nobody we trust vouches for: put the PEM file of its authority into tls.ca_file: %w", where, err)
	case errors.Is(err, kerr.SaslAuthenticationFailed), errors.Is(err, kerr.IllegalSaslState), errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fmt.Errorf("Kafka at %s refuses the login of user %q by %s: check sasl.username, sasl.password and sasl.mechanism: %w",
			where, cluster.SASL.Username, cluster.SASL.Mechanism, err)
	case errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("Kafka at %s does not answer: check brokers, tls and sasl, and that the network lets us through: %w", where, err)
}

func topicError(topic string, err error) error {
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("topic %s does not exist: create it, e.g. with kafka-topics.sh --create --topic %s", topic, topic)
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		return fmt.Errorf("topic %s may not be used by this user: grant READ on inputs, WRITE on outputs, and DESCRIBE", topic)
	}
	return fmt.Errorf("topic %s cannot be used: %w", topic, err)
}

// kind is what a coordinator coordinates.
type kind struct {
	code                  int8
	name, topic, property string
	denied                error
	grant                 string
}

var (
	kindGroup       = &kind{0, "group", "__consumer_offsets", "offsets.topic.replication.factor", kerr.GroupAuthorizationFailed, "READ on the group"}
	kindTransaction = &kind{1, "transactional id", "__transaction_state", "transaction.state.log.replication.factor", kerr.TransactionalIDAuthorizationFailed,
		"WRITE and DESCRIBE on the transactional id"}
)

// coordinator asks who coordinates. A broker that cannot create the topic behind it answers that there is none.
func (c *checking) coordinator(ctx context.Context, k *kind, key string) {
	var last error
	for end := time.Now().Add(checkPatience); time.Now().Before(end); {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorType, q.CoordinatorKey, q.CoordinatorKeys = k.code, key, []string{key}
		resp, err := q.RequestWith(ctx, c.cl)
		switch {
		case err != nil:
			last = err
		case len(resp.Coordinators) > 0:
			last = kerr.ErrorForCode(resp.Coordinators[0].ErrorCode)
		default:
			last = kerr.ErrorForCode(resp.ErrorCode)
		}
		if last == nil {
			return
		}
		if errors.Is(last, k.denied) {
			c.fail(fmt.Errorf("%s %s may not be used by this user: grant %s", k.name, key, k.grant))
			return
		}
		select {
		case <-ctx.Done():
			c.fail(fmt.Errorf("asking for the coordinator of %s %s: %w", k.name, key, ctx.Err()))
			return
		case <-time.After(checkPatience / 10):
		}
	}
	c.fail(fmt.Errorf("%s %s has no coordinator, so nothing can flow: with %d broker(s) alive topic %s may be impossible to create; "+
		"set %s to at most %d, or start more brokers: %w", k.name, key, len(c.brokers), k.topic, k.property, len(c.brokers), last))
}

// transactions finds out the level of transactions, and what one replica allows to be lost.
func (c *checking) transactions(ctx context.Context) {
	features, err := features(ctx, c.cl)
	if err != nil {
		c.fail(fmt.Errorf("asking the brokers for their level of transactions: %w", err))
		return
	}
	c.report.Level = levelOf(features)
	if c.report.Level == LevelLegacy {
		c.warn("the brokers give %s: a request that is delayed on the network may end a later transaction; raise the feature transaction.version to 2 (Kafka 4.0 or later)", LevelLegacy)
	}
	internal, err := c.adm.ListTopicsWithInternal(ctx, kindGroup.topic, kindTransaction.topic)
	if err != nil {
		c.fail(fmt.Errorf("asking for the replicas of the offsets and transactions: %w", err))
		return
	}
	for _, t := range internal.Sorted() { // one that does not exist yet has no replicas
		if t.Err == nil && t.Partitions.NumReplicas() == 1 {
			c.single = append(c.single, t.Topic)
		}
	}
	if len(c.single) > 0 {
		c.warn("one replica: %s. exactly_once holds through anything that happens to us, but if the one broker is killed around a commit the transaction can lose its markers: "+
			"committed outputs may vanish, or the group stand still; and what is on its disk is lost with the disk. Use replication factor 3 with min.insync.replicas 2", strings.Join(c.single, ", "))
	}
}

// protocol looks at the consumer protocol, whose times are the brokers'.
func (c *checking) protocol(ctx context.Context) {
	features, err := features(ctx, c.cl)
	if err == nil && features["group.version"] < 1 {
		c.fail(errors.New("the brokers do not offer group_protocol: consumer (feature group.version, Kafka 4.0 or later): use classic"))
		return
	}
	session := consumerSession.String() + " unless they are set otherwise"
	if configs, err := c.adm.DescribeBrokerConfigs(ctx, c.brokers[0].NodeID); err == nil {
		for _, r := range configs {
			for _, x := range r.Configs {
				if ms, err := strconv.Atoi(x.MaybeValue()); err == nil && x.Key == "group.consumer.session.timeout.ms" {
					session = (time.Duration(ms) * time.Millisecond).String()
				}
			}
		}
	}
	c.warn("group_protocol: consumer has the session timeout of the brokers, %s: so long the partitions of a killed process stand still, unless it is started again (group.consumer.session.timeout.ms)", session)
}
