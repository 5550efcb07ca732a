package mongodbtest

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Options configure a server. The zero value is a standalone one without TLS.
type Options struct {
	// TLS makes the server use TLS.
	TLS *tls.Config
	// ReplicaSet is the name of the replica set whose primary the server is.
	ReplicaSet string
	// Others are the addresses of the replica set's other members.
	Others []string
	// Mongos makes it a router of a sharded cluster.
	Mongos bool
	// Open means that there's no access control.
	Open bool
	// Echo has every refusal repeat the whole command, as a careless server might.
	Echo bool
}

// Server is a stand-in for MongoDB on 127.0.0.1. It's safe for concurrent use.
type Server struct {
	Addr string // host:port

	options Options
	listen  net.Listener
	process bson.ObjectID
	running sync.WaitGroup
	end     sync.Once
	done    chan struct{} // closed at the end

	mu    sync.Mutex
	users map[id]*User
	roles map[id][]Privilege
	conns map[*conn]bool
	fails map[string]bson.D // what's answered to the next command of a name
	sent  []string          // the names of the commands that arrived
}

// New starts a server.
func New(o Options) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		Addr: l.Addr().String(), options: o, listen: l, process: bson.NewObjectID(), done: make(chan struct{}),
		users: map[id]*User{}, roles: map[id][]Privilege{}, conns: map[*conn]bool{}, fails: map[string]bson.D{},
	}
	s.running.Go(s.accept)
	return s, nil
}

// Close ends the server. Closing it again does nothing.
func (s *Server) Close() {
	s.end.Do(func() { close(s.done) })
	_ = s.listen.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.net.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// Fail has the next command of a name answered with this, and not carried out. The
// answer may have its own ok.
func (s *Server) Fail(command string, answer bson.D) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails[command] = answer
}

// Sent are the names of the commands that arrived, in their order.
func (s *Server) Sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.sent...)
}

func (s *Server) accept() {
	for {
		client, err := s.listen.Accept()
		if err != nil {
			return
		}
		if s.options.TLS != nil {
			client = tls.Server(client, s.options.TLS)
		}
		c := &conn{server: s, net: client}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.running.Go(c.serve)
	}
}

// conn is one client's connection.
type conn struct {
	server *Server
	net    net.Conn

	app   string
	login *id // who's logged in; nil for nobody
	sasl  *exchange
}

const (
	opReply = 1
	opQuery = 2004 // only the first hello of a connection
	opMsg   = 2013

	maxMessage = 48 << 20
)

func (c *conn) serve() {
	defer func() {
		_ = c.net.Close()
		c.server.mu.Lock()
		delete(c.server.conns, c)
		c.server.mu.Unlock()
	}()
	for {
		request, op, command, err := c.read()
		if err != nil {
			return
		}
		answer, err := bson.Marshal(c.server.echo(command, c.server.answer(c, command)))
		if err != nil || c.write(request, op, answer) != nil {
			return
		}
	}
}

// echo adds the command to a refusal.
func (s *Server) echo(command, answer bson.D) bson.D {
	for i, field := range answer {
		if s.options.Echo && field.Key == "errmsg" {
			text, _ := bson.MarshalExtJSON(command, false, false)
			answer = slices.Clone(answer)
			answer[i].Value = fmt.Sprint(field.Value, ": ", string(text))
		}
	}
	return answer
}

var errProtocol = errors.New("not a message that a driver sends")

// read reads one command.
func (c *conn) read() (request, op uint32, command bson.D, err error) {
	var header [16]byte
	if _, err := io.ReadFull(c.net, header[:]); err != nil {
		return 0, 0, nil, err
	}
	size := binary.LittleEndian.Uint32(header[:])
	request, op = binary.LittleEndian.Uint32(header[4:]), binary.LittleEndian.Uint32(header[12:])
	if size < 26 || size > maxMessage {
		return 0, 0, nil, errProtocol
	}
	body := make([]byte, size-16)
	if _, err := io.ReadFull(c.net, body); err != nil {
		return 0, 0, nil, err
	}
	switch op {
	case opMsg: // flags, then a section of kind 0, which is a document
		if body[4] != 0 {
			return 0, 0, nil, errProtocol
		}
		body = body[5:]
	case opQuery: // flags, the collection's name, skip and limit, then a document
		end := 4
		for end < len(body) && body[end] != 0 {
			end++
		}
		if len(body) < end+9 {
			return 0, 0, nil, errProtocol
		}
		body = body[end+9:]
	default:
		return 0, 0, nil, errProtocol
	}
	return request, op, command, bson.Unmarshal(body, &command)
}

// write answers one command.
func (c *conn) write(request, op uint32, answer []byte) error {
	var middle []byte
	kind := uint32(opMsg)
	if op == opQuery {
		kind, middle = opReply, make([]byte, 20) // flags, cursor, from
		middle[16] = 1                           // the number of documents
	} else {
		middle = make([]byte, 5) // flags, the section's kind
	}
	message := binary.LittleEndian.AppendUint32(nil, uint32(16+len(middle)+len(answer)))
	message = binary.LittleEndian.AppendUint32(message, 0)
	message = binary.LittleEndian.AppendUint32(message, request)
	message = binary.LittleEndian.AppendUint32(message, kind)
	_, err := c.net.Write(append(append(message, middle...), answer...))
	return err
}
