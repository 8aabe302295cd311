package config

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// What is no error, and yet wants a look.
const (
	ambiguous      code = "ambiguous"       // other readers of YAML take it for something else
	literalSecret  code = "literal-secret"  // a secret stands in the file
	exposedSecret  code = "exposed-secret"  // others can read the file of a secret
	plaintext      code = "plaintext"       // a connection beyond this host without TLS
	anyCertificate code = "any-certificate" // certificates are not checked
	openAdmin      code = "open-admin"      // the endpoint is open to others without a token
	cycle          code = "cycle"           // records may go round through several pipelines
	unrepeatable   code = "unrepeatable"    // state rests on what the log does not hold
)

func (a at) warn(c code, hint, format string, args ...any) {
	p := a.problem(c, hint, fmt.Sprintf(format, args...))
	p.Severity = severityWarning
	a.r.problems = append(a.r.problems, p)
}

var (
	yesOrNo     = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$`)
	sexagesimal = regexp.MustCompile(`^[0-9]+(:[0-5]?[0-9])+$`)
)

// warnAmbiguous warns of plain text that YAML 1.1 takes for something else.
func (a at) warnAmbiguous() {
	v, is := a.node.Value, ""
	switch {
	case a.node.Kind != yaml.ScalarNode || a.node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 || a.r.interpolated[a.node]:
		return
	case octal.MatchString(v):
		is = "an octal number"
	case yesOrNo.MatchString(v):
		is = "true or false"
	case sexagesimal.MatchString(v):
		is = "a number to the base of 60"
	default:
		return
	}
	a.warn(ambiguous, fmt.Sprintf("write %q", v), "%s is %s to some readers of YAML", v, is)
}

// warnAmbiguousBelow warns of every such value in what is given on as it stands.
func (a at) warnAmbiguousBelow() {
	a.warnAmbiguous()
	for i, n := range a.node.Content {
		switch {
		case !a.isMapping():
			at{a.r, n, nil, fmt.Sprintf("%s[%d]", a.path, i)}.warnAmbiguousBelow()
		case i%2 == 1:
			at{a.r, n, nil, a.path + "." + a.node.Content[i-1].Value}.warnAmbiguousBelow()
		}
	}
}

// othersMayRead are the permissions of a file that everybody can read.
const othersMayRead = 0o004

func (a at) warnSecret() {
	if file, ok := a.r.files[a.node]; ok {
		if info, err := os.Stat(file); err == nil && info.Mode().Perm()&othersMayRead != 0 {
			a.warn(exposedSecret, "chmod 600 "+file, "every user of this host can read %s", file)
		}
		return
	}
	if a.node.Value != "" && !a.r.interpolated[a.node] {
		a.warn(literalSecret, "write ${NAME} or ${file:PATH}", "a secret stands in the file")
	}
}

// warnPlaintext warns of a server beyond this host that is reached without TLS.
func (a at) warnPlaintext(what string, addresses []string, tls *TLS) {
	if tls != nil {
		if tls.InsecureSkipVerify {
			a.warn(anyCertificate, "name the authority with tls.ca_file instead", "%s: whoever stands in between can read and change everything", what)
		}
		return
	}
	for _, address := range addresses {
		if host, _, _ := cutPort(address); !loopback(host) {
			a.warn(plaintext, "set tls: true, or a ca_file", "%s at %s is reached without TLS", what, address)
			return
		}
	}
}

// warnUnrepeatable warns of plugins before dedup and reorder that answer by more than the log holds: what these remember is
// derived again by running them.
func (r *pipelineReader) warnUnrepeatable() {
	last := 0
	for i := range r.p.Steps {
		if s := &r.p.Steps[i]; s.Dedup != nil || s.Reorder != nil {
			last = i
		}
	}
	for i := range r.p.Steps[:last] {
		u, by := r.p.Steps[i].plugin(), ""
		switch {
		case u == nil || u.Plugin == nil:
		case u.Plugin.KV != nil:
			by = "kv"
		case slices.Contains(u.Plugin.Capabilities, "clock"):
			by = "the clock"
		}
		if by != "" {
			r.steps[i].warn(unrepeatable, "put it behind dedup and reorder", "the plugin may answer by %s: if the state of a step behind it is lost and derived again, it may come out otherwise", by)
		}
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
