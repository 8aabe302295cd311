// Package servers runs the real servers that tests need: Apache Kafka in KRaft mode and Redis, on free ports of 127.0.0.1,
// with their data in temporary folders. They die with the process that started them.
package servers

import (
	"fmt"
	"net"
	"strconv"
	"time"
)

// upTimeout bounds how long a server may take to come up. One broker takes about five seconds on an idle machine, three
// take half a minute, and a test run keeps the processors busy.
const upTimeout = 3 * time.Minute

// freePorts finds ports that nobody listens on. They are held until all are found, so that they differ.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
