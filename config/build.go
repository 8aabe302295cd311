package config

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamproc/streamproc/expr"
	"gopkg.in/yaml.v3"
)

// builder turns the nodes of all files into a Config. References are resolved after everything has a name.
type builder struct {
	*loading
	cfg  *Config
	root at // of the first file

	record RecordLimits
	retry  Retry
	limits PluginLimits

	names struct{ kafka, redis, plugins, pipelines map[string]at }
}

func newBuilder(l *loading) *builder {
	b := &builder{loading: l,
		cfg: &Config{Plugins: map[string]*Plugin{}, Kafka: map[string]*Kafka{}, Redis: map[string]*Redis{},
			Admin: Admin{Listen: "127.0.0.1:7480"}, Telemetry: Telemetry{LogLevel: "info", LogFormat: "auto"}},
		record: RecordLimits{ValueBytes: 1 << 20, KeyBytes: 64 << 10, Headers: 64, HeaderBytes: 8 << 10, JSONDepth: expr.DefaultDepth},
		retry:  Retry{Attempts: 5, Min: 100 * time.Millisecond, Max: 10 * time.Second},
		limits: PluginLimits{MemoryBytes: 32 << 20, OutputBytes: 4 << 20, Outputs: 1000, LogLines: 100, Traps: 100, Structure: "default"},
	}
	for _, m := range []*map[string]at{&b.names.kafka, &b.names.redis, &b.names.plugins, &b.names.pipelines} {
		*m = map[string]at{}
	}
	return b
}

func (b *builder) build(files []at) *Config {
	b.root = files[0]
	if b.settings().read(nil, files...) && len(b.cfg.Pipelines) == 0 && len(b.problems) == 0 {
		files[0].fail(missing, "add pipelines: { NAME: { source: …, sinks: … } }", "there is no pipeline")
	}
	return b.cfg
}

// settings are those of a file: first the defaults, then what is named, then what names it.
func (b *builder) settings() settings {
	version := "1"
	return settings{
		{name: "version", doc: "The version of this grammar.", value: b.version(&version)},
		{name: "instance", doc: "The name of this process among those that share its work. Together with a number that no other process on this host has in a group, it names its member of that group, and its transactions.", value: text(&b.cfg.Instance).unset("`STREAMPROC_INSTANCE`, else the name of the host")},
		{name: "defaults", doc: "What holds for all pipelines and plugins unless they say otherwise.", value: object(func() settings {
			return settings{
				{name: "plugin_limits", doc: "What a plugin may use.", value: pluginLimits(&b.limits)},
				{name: "record_limits", doc: "What a record may be; one beyond it goes to the dead letters.", value: recordLimits(&b.record)},
				{name: "retry", doc: "How often a record is tried again where a step says `on_error: retry`.", value: retry(&b.retry)},
			}
		})},
		{name: "resources", doc: "What is named once and shared by all pipelines.", value: object(b.resources)},
		{name: "admin", doc: "The HTTP endpoint: health, metrics, status.", value: b.admin()},
		{name: "telemetry", doc: "What the daemon says of itself.", value: b.telemetry()},
		{name: "pipelines", doc: "The pipelines, by name.", value: named(b.names.pipelines, b.pipeline)},
	}
}

func (b *builder) version(to *string) value {
	v := word(to, "1")
	v.number, v.read = &[2]int64{1, 1}, func(a at) {
		if v := a.scalar(); v != nil && *v != "1" {
			a.fail(unknownWord, "write version: 1", "this build reads version 1 only, not %q", *v)
		}
		delete(a.r.set, a.path) // each file has one
	}
	return v
}

func (b *builder) resources() settings {
	return settings{
		{name: "kafka", doc: "Clusters, by name. None is needed: `default` is at `${KAFKA_BROKERS:-localhost:9092}`.", value: named(b.names.kafka, b.kafka)},
		{name: "redis", doc: "Stores for the state of dedup and reorder, by name. None is needed: `default` is at `${REDIS_ADDR:-localhost:6379}`.", value: named(b.names.redis, b.redis)},
		{name: "plugins", doc: "WebAssembly modules, by name.", value: named(b.names.plugins, b.plugin)},
	}
}

// fillResources makes the one Kafka and the one Redis that need not be written.
func (b *builder) fillResources() {
	env := func(name, or string) []string {
		if v, ok := b.lookup(name); ok && v != "" {
			or = v
		}
		return strings.Split(or, ",")
	}
	if len(b.cfg.Kafka) == 0 {
		k := &Kafka{Name: "default", ClientID: defaultClientID, Brokers: env("KAFKA_BROKERS", "localhost:9092")}
		b.cfg.Kafka["default"] = k
		b.root.warnPlaintext("the Kafka of KAFKA_BROKERS", k.Brokers, nil)
	}
	if len(b.cfg.Redis) == 0 {
		r := &Redis{Name: "default", Addrs: env("REDIS_ADDR", "localhost:6379")}
		b.cfg.Redis["default"] = r
		b.root.warnPlaintext("the Redis of REDIS_ADDR", r.Addrs, nil)
	}
}

const defaultClientID = "streamproc"

func (b *builder) kafka(name string) value {
	k := &Kafka{Name: name, ClientID: defaultClientID}
	b.cfg.Kafka[name] = k
	return object(func() settings {
		return settings{
			{name: "brokers", doc: "Where to ask for the cluster first. One entry may hold several, with commas between them.", need: "add brokers: [host:9092]", value: addresses(&k.Brokers)},
			{name: "client_id", doc: "The name by which the brokers know this client, in their logs and quotas. For a worker, a dash and its name follow: pipeline, instance and number.", value: text(&k.ClientID)},
			{name: "tls", doc: "Whether and how connections are encrypted.", value: tls(&k.TLS)},
			{name: "sasl", doc: "How to log in.", value: object(func() settings {
				return settings{
					{name: "mechanism", doc: "How the password is proven.", need: "add mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", value: word(&k.SASL.Mechanism, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")},
					{name: "username", doc: "The user to log in as.", need: "add username: NAME", value: text(&k.SASL.Username)},
					{name: "password", doc: "The user's password.", need: "add password: ${NAME} or ${file:PATH}", value: secret(&k.SASL.Password)},
				}
			})},
		}
	}).then(func(a at) { a.warnPlaintext("Kafka "+name, k.Brokers, k.TLS) })
}

func addresses(to *[]string) value {
	return list(func() value { return address(to) }).then(notEmpty("name at least one host:port"))
}

func tls(to **TLS) value {
	t, on := &TLS{}, false
	v := object(func() settings {
		return settings{
			{name: "ca_file", doc: "The certificates that are trusted, in PEM; without it, those of the system.", value: file(&t.CAFile)},
			{name: "cert_file", doc: "The certificate of this client, in PEM.", value: file(&t.CertFile)},
			{name: "key_file", doc: "Its private key, in PEM.", value: file(&t.KeyFile)},
			{name: "server_name", doc: "The name that the server's certificate must have, where it differs from the address.", value: text(&t.ServerName)},
			{name: "insecure_skip_verify", doc: "Takes any certificate. Whoever stands in between reads everything.", value: boolean(&t.InsecureSkipVerify)},
		}
	}).then(func(a at) {
		*to = t
		a.r.place(t, a)
		if (t.CertFile == "") != (t.KeyFile == "") {
			a.fail(conflict, "add the other", "cert_file and key_file go together")
		}
	})
	return v.orElse(boolean(&on).then(func(at) {
		if on {
			*to = t
		}
	}))
}

func (b *builder) redis(name string) value {
	r := &Redis{Name: name}
	b.cfg.Redis[name] = r
	return object(func() settings {
		return settings{
			{name: "addrs", doc: "Where it is; several for a cluster. With `master`, where the Sentinels are.", need: "add addrs: [host:6379]", value: addresses(&r.Addrs)},
			{name: "master", doc: "The name of the master that the Sentinels at addrs watch.", value: text(&r.Master).unset("no Sentinels")},
			{name: "username", doc: "The user to log in as.", value: text(&r.Username)},
			{name: "password", doc: "The user's password.", value: secret(&r.Password)},
			{name: "db", doc: "The number of the database.", value: count(&r.DB, 0, 1<<20).unset("0")},
			{name: "tls", doc: "Whether and how connections are encrypted.", value: tls(&r.TLS)},
		}
	}).then(func(a at) { a.warnPlaintext("Redis "+name, r.Addrs, r.TLS) })
}

var digestRE = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (b *builder) plugin(name string) value {
	p := &Plugin{Name: name, Limits: b.limits}
	b.cfg.Plugins[name] = p
	here := func(a at) { b.place(p, a) }
	return one([]string{"wasm", "js", "lua", "py", "oci"}, func() settings {
		return append(settings{
			{name: "wasm", doc: "The module.", value: source(&p.Wasm, "wasm").then(here)},
			{name: "js", doc: "The script, in TypeScript or JavaScript. It imports files of its own folder only.", value: source(&p.JS, "js").then(here)},
			{name: "lua", doc: "The script, in Lua. It requires files beside it.", value: source(&p.Lua, "lua").then(here)},
			{name: "py", doc: "The script, in Python. It imports files beside it, and what its engine has.", value: source(&p.Py, "py").then(here)},
			{name: "engine", doc: "What runs a script in Python.", value: engine(&p.Engine)},
			{name: "abi", doc: "What the module speaks, where its imports and exports leave that open.", value: abi(&p.ABI)},
			{name: "sha256", doc: "The digest of the module or script; nothing else is loaded.", value: digest(&p.SHA256)},
			{name: "limits", doc: "What the plugin may use.", value: pluginLimits(&p.Limits)},
			{name: "oci", doc: "Where the module is in a registry, by digest: `HOST/NAME@sha256:…`. It is kept in the cache.", value: artifactName(&p.OCI).then(here)},
			{name: "signature", doc: "Whose signature the module must have; nothing else is loaded.", value: signature(&p.Signer)},
			{name: "capabilities", doc: "What the plugin is given of the world: `clock`, the time of the clock on the wall instead of that of the batch.", value: capabilities(&p.Capabilities)},
			{name: "kv", doc: "What the plugin may read while it works, by `kv_get`: the strings of a Redis under a prefix.", value: b.kv(&p.KV)},
			{name: "metrics", doc: "Names of the counters of the plugin, `metric` of `streamproc_plugin_counts_total`. It counts by their places in this list, from 0.", value: counters(&p.Metrics)},
		}, elsewhere("write it at the step that uses the plugin", "config", "look_back", "look_back_memory", "shadow", "outputs")...)
	}).then(func(a at) {
		if p.Signer != "" && p.Script() != "" {
			a.fail(conflict, "pin it with sha256 instead", "a script is not signed")
		}
		p.checkEngine(a)
	})
}

// sources are the endings of the files that the keys of a plugin name, and what these are.
var sources = map[string]struct{ key, what string }{
	".wasm": {"wasm", "a module"}, ".lua": {"lua", "a script in Lua"}, ".py": {"py", "a script in Python"},
	".js": {"js", "a script"}, ".mjs": {"js", "a script"}, ".cjs": {"js", "a script"},
	".ts": {"js", "a script"}, ".mts": {"js", "a script"}, ".cts": {"js", "a script"},
}

// source is the file of a plugin, under the key for what it is.
func source(to *string, key string) value {
	return file(to).then(func(a at) {
		if is, known := sources[filepath.Ext(*to)]; known && is.key != key {
			a.fail(wrongKind, fmt.Sprintf("write %s: %s", is.key, a.node.Value), "it is %s", is.what)
		}
	})
}

// engine is not carried, and not looked for: it is the user's, who says which one it is.
func engine(to *Engine) value {
	return object(func() settings {
		return settings{
			{name: "wasm", doc: "A Python for WASI. `streamproc plugin new --lang py` says where there is one.", need: "add wasm: python.wasm", value: file(&to.Wasm)},
			{name: "sha256", doc: "The digest of the engine; nothing else is loaded.", need: "add sha256: what sha256sum prints for the file", value: digest(&to.SHA256)},
		}
	})
}

// checkEngine holds a plugin to it that a script in Python has an engine, and nothing else has.
func (p *Plugin) checkEngine(a at) {
	switch has := p.Engine != (Engine{}); {
	case p.Py != "" && !has && a.isMapping():
		a.fail(missing, "add engine: { wasm: python.wasm, sha256: … }; streamproc plugin new --lang py says where there is one", "engine is missing: a Python is not carried")
	case p.Py == "" && has:
		a.fail(conflict, "leave engine out", "only a script in Python names its engine")
	}
}

var referenceRE = regexp.MustCompile(`^[^\s@/]+/[^\s@]+@sha256:[0-9a-f]{64}$`)

// artifactName is a plugin in a registry, by its digest: a tag may be something else tomorrow.
func artifactName(to *string) value {
	return special("reference", "HOST/NAME@sha256:…", "", referenceRE.String(), func(a at) {
		if *to = a.text(); !referenceRE.MatchString(*to) {
			a.fail(wrongKind, "HOST/NAME@sha256:…, as streamproc plugin push prints it", "%q names no plugin by its digest", *to)
		}
	})
}

func signature(to *string) value {
	return object(func() settings {
		return settings{
			{name: "public_key_file", doc: "The public key of the signer, in the format of minisign. The signature of a file is beside it, with the ending `.minisig`.",
				need: "add public_key_file: FILE", value: file(to)},
		}
	})
}

func abi(to *string) value {
	return word(to, "sp1", "redpanda", "fluvio", "connect", "extism", "conduit", "command", "command-batch").unset("as its imports and exports say")
}

func digest(to *string) value {
	return special("SHA-256", "64 hexadecimal digits, lower case", "", digestRE.String(), func(a at) {
		if *to = a.text(); !digestRE.MatchString(*to) {
			a.fail(wrongKind, "64 hexadecimal digits, lower case, as sha256sum prints them", "%q is no SHA-256", *to)
		}
	})
}

func pluginLimits(l *PluginLimits) value {
	return object(func() settings {
		return settings{
			{name: "memory", doc: "The largest memory of one instance. Each worker has one for each step.", value: size(&l.MemoryBytes, 64<<10, 512<<20)},
			{name: "output", doc: "The most bytes that one record may become.", value: size(&l.OutputBytes, 1, 64<<20)},
			{name: "outputs", doc: "The most records that one record may become.", value: count(&l.Outputs, 1, 1<<20)},
			{name: "fuel", doc: "What one record may cost, in units of about one simple instruction: 10 M hold a processor for 0.2 to 10 ms, at the worst some 50.", value: count(&l.Fuel, 1000, 600_000_000).unset("10M, at most 200M; for a script 300M, in Python 400M, at most 600M")},
			{name: "depth", doc: "How deep calls may go within calls, where they may recurse.", value: count(&l.Depth, 10, 10_000).unset("1000; 10k for a script")},
			{name: "log_lines", doc: "The most lines that one instance may log in a second; the others are counted.", value: count(&l.LogLines, 1, 1<<20)},
			{name: "traps", doc: "After so many records in a row that trap or are over a limit, the plugin is held to be broken: the pipeline pauses, for a second and then for longer, and says so.", value: count(&l.Traps, 1, 1<<20)},
			{name: "structure", doc: "The caps on functions, nesting and the like that a module is held to before it is compiled; `large` is for the few modules that need it, and wants their sha256.", value: word(&l.Structure, "default", "large")},
		}
	})
}

// capabilities are what a plugin is given of the world; without one it sees nothing of it.
func capabilities(to *[]string) value {
	return list(func() value {
		c := ""
		return word(&c, "clock").then(func(at) { *to = append(*to, c) })
	})
}

// kv is what a plugin may read. Its store is always named: state and what others write are seldom in the same.
func (b *builder) kv(to **KV) value {
	k := &KV{}
	return object(func() settings {
		return settings{
			{name: "store", doc: "The Redis to read, by its name in resources.redis. It may be a replica, and evict: nothing is written to it.", need: "add store: NAME, one of resources.redis", value: reference(&k.Store, "redis", b.cfg.Redis)},
			{name: "prefix", doc: "What every key begins with; the plugin names the rest, and reaches nothing else.", need: `add prefix: "user:", what the keys begin with`, value: keyPrefix(&k.Prefix)},
			{name: "prefetch", doc: "What a record will be looked up by. The keys of a batch are then read at once, and not in a round trip each.", value: field(&k.Prefetch)},
		}
	}).then(func(at) { *to = k })
}

const maxPrefix = 256

// keyPrefix keeps plugins out of what the steps remember.
func keyPrefix(to *string) value {
	return text(to).then(func(a at) {
		switch {
		case *to == "" || len(*to) > maxPrefix:
			a.fail(outOfRange, `write "user:", what the keys begin with`, "a prefix has 1 to %d bytes, not %d", maxPrefix, len(*to))
		case strings.HasPrefix(*to, "{sp:") || strings.HasPrefix(*to, "sp:"):
			a.fail(conflict, "use another prefix", "under %q lies the state of steps", *to)
		}
	})
}

const maxCounters = 100

var counterRE = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

func counters(to *[]string) value {
	return list(func() value {
		return special("name", "paid_orders", "", counterRE.String(), func(a at) {
			name := a.text()
			switch {
			case !counterRE.MatchString(name):
				a.fail(wrongKind, "use lower-case letters, digits and '_', at most 63, a letter first", "%q is no name of a counter", name)
			case slices.Contains(*to, name):
				a.fail(twice, "", "the counter is there twice")
			case len(*to) == maxCounters:
				a.fail(tooLarge, "", "there are more than %d counters", maxCounters)
			}
			*to = append(*to, name)
		})
	})
}

func recordLimits(l *RecordLimits) value {
	return object(func() settings {
		return settings{
			{name: "value", doc: "The largest value.", value: size(&l.ValueBytes, 1, 64<<20)},
			{name: "key", doc: "The largest key.", value: size(&l.KeyBytes, 1, 1<<20)},
			{name: "headers", doc: "The most headers.", value: count(&l.Headers, 1, 10_000)},
			{name: "header", doc: "The largest header, name and value.", value: size(&l.HeaderBytes, 1, 1<<20)},
			{name: "json_depth", doc: "How deep a JSON value may nest that a step looks into.", value: count(&l.JSONDepth, 1, 1000)},
		}
	})
}

func retry(r *Retry) value {
	return object(func() settings {
		return settings{
			{name: "attempts", doc: "The most attempts on one record.", value: count(&r.Attempts, 1, 100)},
			{name: "backoff", doc: "The wait before the second attempt, and the longest wait.", value: backoff(r)},
		}
	})
}

func backoff(r *Retry) value {
	def := writtenDuration(r.Min) + ".." + writtenDuration(r.Max)
	return special("range of durations", "100ms..10s", def, strings.TrimSuffix(durationPattern, "$")+`\.\.`+strings.TrimPrefix(durationPattern, "^"), func(a at) {
		v := a.nonempty()
		from, to, ok := strings.Cut(v, "..")
		if !ok {
			if v != "" {
				a.fail(wrongKind, "write 100ms..10s", "%q is no range of durations", v)
			}
			return
		}
		low, high := a, a
		lowNode, highNode := *a.node, *a.node
		lowNode.Value, highNode.Value = from, to
		highNode.Column += len(from) + len("..")
		low.node, high.node = &lowNode, &highNode
		r.Min = low.duration(r.Min, time.Millisecond, time.Minute)
		r.Max = high.duration(r.Max, r.Min, 10*time.Minute)
	})
}

func (b *builder) admin() value {
	c := &b.cfg.Admin
	return object(func() settings {
		return settings{
			{name: "listen", doc: "Where it listens. Port 0 takes a free one, for several instances on one host.", value: listenAddress(&c.Listen)},
			{name: "token", doc: "What a client must send as `Authorization: Bearer TOKEN`, but for the health of the process.", value: secret(&c.Token)},
			{name: "debug", doc: "Serves profiles below `/debug/pprof`.", value: boolean(&c.Debug)},
			{name: "insecure", doc: "Allows an address that can be reached from outside without a token.", value: boolean(&c.Insecure)},
			{name: "hosts", doc: "Names by which it may be asked, besides addresses and localhost: a page in a browser that was led here has another.", value: list(func() value {
				name := ""
				return text(&name).then(func(at) { c.Hosts = append(c.Hosts, name) })
			})},
		}
	}).then(func(a at) {
		host, _, err := net.SplitHostPort(c.Listen)
		switch {
		case err != nil, loopback(host), c.Token != "":
		case c.Insecure:
			a.warn(openAdmin, "set token", "%s can be reached from outside, and no token is asked for", c.Listen)
		default:
			a.fail(conflict, "set token, or insecure: true", "%s can be reached from outside, and no token is asked for", c.Listen)
		}
	})
}

func listenAddress(to *string) value {
	return special("host:port", "127.0.0.1:7480", *to, "", func(a at) {
		if *to = a.nonempty(); *to == "" {
			return
		}
		_, port, err := net.SplitHostPort(*to)
		if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
			a.fail(wrongKind, "write 127.0.0.1:7480, or 127.0.0.1:0 for a free port", "%q is no address", *to)
		}
	})
}

func (b *builder) telemetry() value {
	t := &b.cfg.Telemetry
	return object(func() settings {
		return settings{
			{name: "log", doc: "The log, on stderr.", value: object(func() settings {
				return settings{
					{name: "level", doc: "The least level that is shown.", value: word(&t.LogLevel, "debug", "info", "warn", "error")},
					{name: "format", doc: "How it is written; `auto` is text on a terminal, else JSON.", value: word(&t.LogFormat, "auto", "text", "json")},
				}
			})},
			{name: "otlp", value: later()},
		}
	})
}

// topics reads a list of topics that must not be empty.
func topics(to *[]string) value {
	return list(func() value {
		name := ""
		return topic(&name).then(func(a at) {
			if slices.Contains(*to, name) {
				a.fail(twice, "", "the topic is there twice")
			}
			*to = append(*to, name)
		})
	}).then(notEmpty("name at least one topic"))
}

func notEmpty(hint string) func(at) {
	return func(a at) {
		if a.node.Kind == yaml.SequenceNode && len(a.node.Content) == 0 {
			a.fail(missing, hint, "the list is empty")
		}
	}
}
