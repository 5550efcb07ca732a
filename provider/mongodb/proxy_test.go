package mongodb

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/provider/providertest"
)

// proxy stands between Rota and a server, and lets the next command of a kind go wrong.
type proxy struct {
	addr, server string

	mu    sync.Mutex
	kind  providertest.FaultKind
	since time.Time
	word  []byte // the name of the command that the fault is for
	ends  []net.Conn
	sent  bytes.Buffer
}

// heard is all that was sent so far.
func (p *proxy) heard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent.String()
}

func newProxy(t testing.TB, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), server: server}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, end := range p.ends {
			_ = end.Close()
		}
		p.mu.Unlock()
		running.Wait()
	})
	return p
}

// words are the commands that each method is about.
var words = map[string]string{
	"set": "updateUser", "delete": "updateUser", "deactivate": "updateUser", "reactivate": "updateUser",
	"test": "saslStart", "list": "usersInfo", "check": "count",
}

// inject is a [providertest.Inject].
func (p *proxy) inject(op string, kind providertest.FaultKind) bool {
	word, ok := words[op]
	if !ok || kind == providertest.Repeat && word != "updateUser" {
		return false
	}
	if kind == providertest.Hang && word == "updateUser" {
		word = "usersInfo" // what it asks first
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kind, p.since, p.word = kind, time.Now(), append([]byte(word), 0)
	return true
}

func (p *proxy) fault(sent []byte) (kind providertest.FaultKind) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent.Write(sent)
	if p.kind == "" || !bytes.Contains(sent, p.word) {
		return ""
	}
	if p.kind == providertest.Hang && time.Since(p.since) < hangs {
		return p.kind // it lasts, because an earlier call's command may still come
	}
	if kind = p.kind; kind == providertest.Hang {
		kind = ""
	}
	p.kind = ""
	return kind
}

// hangs is how long commands hang once that's asked for.
const hangs = 500 * time.Millisecond

// message reads one message of MongoDB's protocol: it begins with its own length.
func message(from io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(from, size[:]); err != nil {
		return nil, err
	}
	whole := make([]byte, binary.LittleEndian.Uint32(size[:]))
	copy(whole, size[:])
	_, err := io.ReadFull(from, whole[4:])
	return whole, err
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.ends = append(p.ends, client, server)
	p.mu.Unlock()
	for {
		asked, err := message(client)
		if err != nil {
			return
		}
		kind := p.fault(asked)
		switch kind {
		case providertest.FailBefore:
			return
		case providertest.Hang:
			_ = client.SetReadDeadline(time.Now().Add(2 * hangs))
			_, _ = io.Copy(io.Discard, client)
			return
		}
		sends := 1
		if kind == providertest.Repeat {
			sends = 2
		}
		for ; sends > 0; sends-- {
			if _, err := server.Write(asked); err != nil {
				return
			}
			answer, err := message(server)
			if err != nil || kind == providertest.LoseReply {
				return
			}
			if sends > 1 {
				continue
			}
			if _, err := client.Write(answer); err != nil {
				return
			}
		}
	}
}
