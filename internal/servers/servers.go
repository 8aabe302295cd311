// Package servers runs the real servers that tests need: Apache Kafka in KRaft mode and Redis, on free ports of 127.0.0.1,
// with their data in temporary folders. They die with the process that started them.
package servers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

// upTimeout bounds how long a server may take to come up. One broker takes about five seconds on an idle machine, three
// take half a minute, and a test run keeps the processors busy.
const upTimeout = 3 * time.Minute

// Ports are looked for below those that the system gives to connections: a server that is down for a while must find its
// port free when it comes back.
const firstPort, endPort = 15_000, 32_000

var given = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// freePorts finds ports that nobody listens on, and that this process has not found before.
func freePorts(n int) (ports []int, err error) {
	given.Lock()
	defer given.Unlock()
	for tries := 0; len(ports) < n; tries++ {
		if tries > endPort-firstPort {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		port := firstPort + rand.IntN(endPort-firstPort)
		if given.ports[port] {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", local(port)); err != nil {
			continue
		}
		_ = l.Close() // nothing came
		given.ports[port] = true
		ports = append(ports, port)
	}
	return ports, nil
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
