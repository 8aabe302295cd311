package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// checkPatience is how long one question to a cluster may take before it counts as away.
const checkPatience = 5 * time.Second

// Check asks a cluster whether a group can read topics and write outputs: that it answers and knows who we are, that the
// topics exist, and that the group has a coordinator. Each finding is a sentence with its remedy; none means that records
// can flow. A group without a coordinator is otherwise silent for ever: its client waits.
func Check(ctx context.Context, cluster Cluster, group Group, outputs []Output, log *slog.Logger) []error {
	cl, err := kgo.NewClient(append(cluster.options(log), kgo.RetryTimeout(checkPatience), kgo.DialTimeout(checkPatience))...)
	if err != nil {
		return []error{fmt.Errorf("making a Kafka client: %w", err)}
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*checkPatience)
	defer cancel()
	adm := kadm.NewClient(cl)
	brokers, err := adm.ListBrokers(ctx)
	if err != nil {
		return []error{unreachable(cluster, err)}
	}
	var found []error
	names := append([]string(nil), group.Topics...)
	for _, o := range outputs {
		if o.Cluster == nil {
			names = append(names, o.Topic)
		}
	}
	topics, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return []error{unreachable(cluster, err)}
	}
	for _, t := range topics.Sorted() {
		if t.Err != nil {
			found = append(found, topicError(t.Topic, t.Err))
		}
	}
	if err := coordinator(ctx, cl, group.Name, len(brokers)); err != nil {
		found = append(found, err)
	}
	return found
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

// coordinator asks who coordinates the group. A broker that cannot create the offsets topic answers that there is none.
func coordinator(ctx context.Context, cl *kgo.Client, group string, brokers int) error {
	var last error
	for end := time.Now().Add(checkPatience); time.Now().Before(end); {
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.CoordinatorKey, q.CoordinatorKeys = group, []string{group}
		resp, err := q.RequestWith(ctx, cl)
		switch {
		case err != nil:
			last = err
		case len(resp.Coordinators) > 0:
			last = kerr.ErrorForCode(resp.Coordinators[0].ErrorCode)
		default:
			last = kerr.ErrorForCode(resp.ErrorCode)
		}
		if last == nil {
			return nil
		}
		if errors.Is(last, kerr.GroupAuthorizationFailed) {
			return fmt.Errorf("group %s may not be used by this user: grant READ on the group", group)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("asking for the coordinator of group %s: %w", group, ctx.Err())
		case <-time.After(checkPatience / 10):
		}
	}
	return fmt.Errorf("group %s has no coordinator, so nothing can be read: with %d broker(s) alive the offsets topic may be impossible to create; "+
		"set offsets.topic.replication.factor to at most %d, or start more brokers: %w", group, brokers, brokers, last)
}
