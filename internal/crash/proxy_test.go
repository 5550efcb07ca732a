package crash

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// proxy stands before a Redis and makes its commands fail, one at a time even if
// several are sent at once.
type proxy struct {
	w        *world
	listener net.Listener
	server   string // its address
	name     string
	// op is what a command does, in the words of an issuer's methods, or "" for one
	// that isn't counted.
	op func(words []string) string
	// heard is told of each command that the server carried out.
	heard func(words []string)

	mu      sync.Mutex
	ends    []net.Conn
	running sync.WaitGroup
}

func (p *proxy) start() (address string, err error) {
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return "", err
	}
	p.running.Go(func() {
		for {
			client, err := p.listener.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.serve(client) })
		}
	})
	return p.listener.Addr().String(), nil
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for _, end := range p.ends {
		_ = end.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("unix", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.ends = append(p.ends, client, server)
	p.mu.Unlock()
	defer func() { _, _ = client.Close(), server.Close() }()
	commands, answers := bufio.NewReader(client), bufio.NewReader(server)
	for {
		command, words, err := readValue(commands)
		if err != nil {
			return
		}
		e := effect{}
		c := call{"redis", p.op(words), p.name}
		if c.op != "" {
			e = p.w.strike(c)
		}
		process := p.w.current()
		if c.op != "" {
			p.w.audited(process, c)
		}
		if e.fails {
			return
		}
		var answer []byte
		for range 1 + count(e.repeat) {
			if _, err := server.Write(command); err != nil {
				return
			}
			if answer, _, err = readValue(answers); err != nil {
				return
			}
			p.heard(words)
		}
		p.w.check(c)
		if e.dies {
			process.kill()
		}
		if e.dies || e.lost {
			return
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// readValue reads one value of Redis's protocol, version 2: its bytes, and the
// texts in it.
func readValue(r *bufio.Reader) (raw []byte, texts []string, err error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, nil, err
	}
	text := string(bytes.TrimRight(line[1:], "\r\n"))
	if line[0] == '+' || line[0] == '-' || line[0] == ':' {
		return line, []string{text}, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return nil, nil, err
	case line[0] == '$' && n >= 0:
		body := make([]byte, n+2)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, nil, err
		}
		return append(line, body...), []string{string(body[:n])}, nil
	case line[0] == '*':
		for range n {
			more, inner, err := readValue(r)
			if err != nil {
				return nil, nil, err
			}
			line, texts = append(line, more...), append(texts, inner...)
		}
	case line[0] != '$':
		return nil, nil, errors.New("not Redis's protocol: " + strings.TrimSpace(string(line)))
	}
	return line, texts, nil
}
