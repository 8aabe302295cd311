package config

import (
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// builder turns the nodes of all files into a Config. References are resolved after everything has a name.
type builder struct {
	errs  *Errors
	files []at
	cfg   *Config

	record RecordLimits
	retry  Retry
	limits PluginLimits
}

func newBuilder(errs *Errors) *builder {
	return &builder{errs: errs,
		cfg: &Config{Plugins: map[string]*Plugin{}, Kafka: map[string]*Kafka{}, Redis: map[string]*Redis{},
			Admin: Admin{Listen: "127.0.0.1:7480"}, Telemetry: Telemetry{LogLevel: "info", LogFormat: "auto"}},
		record: RecordLimits{ValueBytes: 1 << 20, KeyBytes: 64 << 10, Headers: 64, HeaderBytes: 8 << 10},
		retry:  Retry{Attempts: 5, Min: 100 * time.Millisecond, Max: 10 * time.Second},
		limits: PluginLimits{MemoryBytes: 32 << 20, OutputBytes: 4 << 20},
	}
}

func (b *builder) build() *Config {
	var resources, pipelines []at
	for _, f := range b.files { // first the defaults, then what is named, then what names it
		f.object(fields{"version": b.version, "defaults": b.defaults, "admin": b.admin, "telemetry": b.telemetry,
			"resources": func(a at) { resources = append(resources, a) },
			"pipelines": func(a at) { pipelines = append(pipelines, a) }})
	}
	for _, a := range resources {
		b.resources(a)
	}
	b.fillResources()
	names := map[string]bool{}
	for _, p := range pipelines {
		p.each(func(name string, key, value at) {
			if names[name] {
				key.fail("", "pipeline %s is there twice", name)
				return
			}
			names[name] = true
			checkName(key, name)
			b.cfg.Pipelines = append(b.cfg.Pipelines, b.pipeline(name, value))
		})
	}
	if len(b.cfg.Pipelines) == 0 && len(*b.errs) == 0 && len(b.files) > 0 {
		b.files[0].fail("add pipelines: { NAME: { source: …, sinks: … } }", "there is no pipeline")
	}
	return b.cfg
}

var nameRE = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$`)

func checkName(key at, name string) {
	if !nameRE.MatchString(name) {
		key.fail("use letters, digits, '.', '_' and '-', at most 100", "%q is no name", name)
	}
}

func (b *builder) version(a at) {
	if v := a.text(); v != "1" {
		a.fail("write version: 1", "this build reads version 1 only, not %q", v)
	}
}

// later refuses a setting of the grammar that this version does not have: nothing is ignored in silence.
func later(a at) { a.fail("leave it out", "it is not available in this version") }

func (b *builder) resources(a at) {
	a.object(fields{
		"kafka":   func(a at) { named(a, b.cfg.Kafka, b.kafka) },
		"redis":   func(a at) { named(a, b.cfg.Redis, b.redis) },
		"plugins": func(a at) { named(a, b.cfg.Plugins, b.plugin) },
	})
}

// named reads entries into a map that all files share: the same name twice is an error.
func named[T any](a at, into map[string]T, read func(string, at) T) {
	a.each(func(name string, key, v at) {
		checkName(key, name)
		if _, ok := into[name]; ok {
			key.fail("give it another name", "%s is there twice", name)
			return
		}
		into[name] = read(name, v)
	})
}

// fillResources makes the one Kafka and the one Redis that need not be written.
func (b *builder) fillResources() {
	env := func(name, or string) string {
		if len(b.files) > 0 {
			if v, ok := b.files[0].r.lookup(name); ok && v != "" {
				return v
			}
		}
		return or
	}
	if len(b.cfg.Kafka) == 0 {
		b.cfg.Kafka["default"] = &Kafka{Name: "default", ClientID: "streamproc", Brokers: strings.Split(env("KAFKA_BROKERS", "localhost:9092"), ",")}
	}
	if len(b.cfg.Redis) == 0 {
		b.cfg.Redis["default"] = &Redis{Name: "default", Addrs: strings.Split(env("REDIS_ADDR", "localhost:6379"), ",")}
	}
}

func (b *builder) kafka(name string, a at) *Kafka {
	k := &Kafka{Name: name, ClientID: "streamproc"}
	a.object(fields{
		"brokers":   func(a at) { k.Brokers = a.addresses() },
		"client_id": func(a at) { k.ClientID = a.text() },
		"tls":       func(a at) { k.TLS = a.tls() },
		"sasl": func(a at) {
			a.object(fields{
				"mechanism": func(a at) { k.SASL.Mechanism = a.oneOf("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512") },
				"username":  func(a at) { k.SASL.Username = a.text() },
				"password":  func(a at) { k.SASL.Password = Secret(a.text()) },
			})
			if k.SASL.Mechanism == "" {
				a.fail("add mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", "the mechanism is missing")
			}
		},
	})
	if len(k.Brokers) == 0 {
		a.fail("add brokers: [host:9092]", "there are no brokers")
	}
	return k
}

func (a at) addresses() (list []string) {
	a.list(func(a at) {
		for _, s := range strings.Split(a.text(), ",") {
			if s = strings.TrimSpace(s); s == "" || !strings.Contains(s, ":") {
				a.fail("write host:port", "%q is no address", s)
			}
			list = append(list, s)
		}
	})
	return list
}

func (a at) tls() *TLS {
	if a.node.Value == "true" {
		return &TLS{}
	}
	if a.node.Value == "false" {
		return nil
	}
	t := &TLS{}
	a.object(fields{
		"ca_file":              func(a at) { t.CAFile = a.file() },
		"cert_file":            func(a at) { t.CertFile = a.file() },
		"key_file":             func(a at) { t.KeyFile = a.file() },
		"server_name":          func(a at) { t.ServerName = a.text() },
		"insecure_skip_verify": func(a at) { t.InsecureSkipVerify = a.boolean() },
	})
	return t
}

// file reads a path, relative to the file that names it.
func (a at) file() string {
	name := a.text()
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(a.r.file), name)
}

func (b *builder) redis(name string, a at) *Redis {
	r := &Redis{Name: name}
	a.object(fields{
		"addrs":    func(a at) { r.Addrs = a.addresses() },
		"username": func(a at) { r.Username = a.text() },
		"password": func(a at) { r.Password = Secret(a.text()) },
		"db":       func(a at) { r.DB = int(a.count(0, 1<<20)) },
		"tls":      func(a at) { r.TLS = a.tls() },
	})
	if len(r.Addrs) == 0 {
		a.fail("add addrs: [host:6379]", "there are no addresses")
	}
	return r
}

var digestRE = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (b *builder) plugin(name string, a at) *Plugin {
	p := &Plugin{Name: name, Limits: b.limits}
	a.object(fields{
		"wasm": func(a at) { p.Wasm = a.file() },
		"sha256": func(a at) {
			if p.SHA256 = a.text(); !digestRE.MatchString(p.SHA256) {
				a.fail("64 hexadecimal digits, lower case", "%q is no SHA-256", p.SHA256)
			}
		},
		"limits":       func(a at) { p.Limits = a.pluginLimits(p.Limits) },
		"oci":          later,
		"signature":    later,
		"capabilities": later,
	})
	if p.Wasm == "" {
		a.fail("add wasm: FILE", "the module is missing")
	}
	return p
}

func (a at) pluginLimits(l PluginLimits) PluginLimits {
	a.object(fields{
		"memory":   func(a at) { l.MemoryBytes = a.bytes(64<<10, 512<<20) },
		"output":   func(a at) { l.OutputBytes = a.bytes(1, 64<<20) },
		"deadline": func(a at) { l.Deadline = a.duration(time.Millisecond, 30*time.Second) },
		"fuel":     later,
	})
	return l
}

func (b *builder) defaults(a at) {
	a.object(fields{
		"plugin_limits": func(a at) { b.limits = a.pluginLimits(b.limits) },
		"record_limits": func(a at) { b.record = a.recordLimits(b.record) },
		"retry":         func(a at) { b.retry = a.retry(b.retry) },
	})
}

func (a at) recordLimits(l RecordLimits) RecordLimits {
	a.object(fields{
		"value":      func(a at) { l.ValueBytes = int(a.bytes(1, 64<<20)) },
		"key":        func(a at) { l.KeyBytes = int(a.bytes(1, 1<<20)) },
		"headers":    func(a at) { l.Headers = int(a.count(1, 10_000)) },
		"json_depth": later,
	})
	return l
}

func (a at) retry(r Retry) Retry {
	a.object(fields{
		"attempts": func(a at) { r.Attempts = int(a.count(1, 100)) },
		"backoff": func(a at) {
			from, to, ok := strings.Cut(a.text(), "..")
			if !ok {
				a.fail("write 100ms..10s", "%q is no range of durations", a.text())
				return
			}
			low, high := *a.node, *a.node
			low.Value, high.Value = from, to
			r.Min = at{a.r, &low, a.path}.duration(time.Millisecond, time.Minute)
			r.Max = at{a.r, &high, a.path}.duration(r.Min, 10*time.Minute)
		},
	})
	return r
}

func (b *builder) admin(a at) {
	c := &b.cfg.Admin
	a.object(fields{
		"listen":   func(a at) { c.Listen = a.text() },
		"token":    func(a at) { c.Token = Secret(a.text()) },
		"debug":    func(a at) { c.Debug = a.boolean() },
		"insecure": func(a at) { c.Insecure = a.boolean() },
		"hosts":    func(a at) { a.list(func(a at) { c.Hosts = append(c.Hosts, a.text()) }) },
	})
	host, _, err := net.SplitHostPort(c.Listen)
	ip := net.ParseIP(host)
	switch {
	case err != nil:
		a.fail("write 127.0.0.1:7480", "listen %q is no address", c.Listen)
	case host != "localhost" && (ip == nil || !ip.IsLoopback()) && c.Token == "" && !c.Insecure:
		a.fail("set token, or insecure: true", "%s can be reached from outside, and no token is asked for", c.Listen)
	}
}

func (b *builder) telemetry(a at) {
	a.object(fields{
		"log": func(a at) {
			a.object(fields{
				"level":  func(a at) { b.cfg.Telemetry.LogLevel = a.oneOf("info", "debug", "warn", "error") },
				"format": func(a at) { b.cfg.Telemetry.LogFormat = a.oneOf("auto", "text", "json") },
			})
		},
		"otlp": later,
	})
}
