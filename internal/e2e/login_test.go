package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/servers"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const loginYAML = `version: 1
resources:
  kafka:
    main: { brokers: ["${KAFKA_BROKERS}"], tls: { ca_file: "${CA}" }, sasl: { mechanism: "${MECHANISM}", username: "${NAME}", password: "${PW}" } }
pipelines:
  login:
    source: { topics: [in] }
    sinks: { out: { topic: out } }
    dlq: { topic: out.dlq }
`

// Every mechanism logs in over TLS, and a certificate of an unknown authority is called by that name.
func TestEveryMechanismLogsInOverTLS(t *testing.T) {
	k := servers.NewKafka(t, servers.KafkaOptions{SASL: true, TLS: true})
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.Brokers()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if rs, err := kadm.NewClient(cl).CreateTopics(t.Context(), 1, 1, nil, "in", "out", "out.dlq"); err != nil || rs.Error() != nil {
		t.Fatal(err, rs.Error())
	}
	ca, stranger := k.CAFile()
	r := &rig{t: t, dir: t.TempDir()}
	file := r.write("login.yaml", loginYAML)
	validate := func(mechanism, ca, password string) (string, error) {
		r.env = []string{"KAFKA_BROKERS=" + strings.Join(k.SASLBrokers(), ","), "CA=" + ca, "MECHANISM=" + mechanism, "NAME=" + servers.User, "PW=" + password}
		in := r.start("validate", "-c", file)
		select {
		case err := <-in.done:
			return fmt.Sprint(&in.stdout, in.stderr), err
		case <-time.After(60 * time.Second):
			t.Fatal("validate does not end")
			return "", nil
		}
	}
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		if out, err := validate(mechanism, ca, servers.Password); err != nil {
			t.Errorf("%s: %v\n%s", mechanism, err, out)
		}
		if out, err := validate(mechanism, ca, "wrong"); err == nil || !strings.Contains(out, "refuses the login of user") {
			t.Errorf("%s with a wrong password: %v\n%s", mechanism, err, out)
		}
	}
	if out, err := validate("PLAIN", stranger, servers.Password); err == nil || !strings.Contains(out, "that nobody we trust vouches for: put the PEM file of its authority into tls.ca_file") {
		t.Errorf("with the certificate of an unknown authority: %v\n%s", err, out)
	}
}
