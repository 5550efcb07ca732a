package grpccreds_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/grpccreds"
	"github.com/rota-dev/rota/client/internal/certs"
	"github.com/rota-dev/rota/client/tlscert"
)

const name = "prod/parcels-api"

// service accepts one token, if it has one, and remembers who called.
type service struct {
	addr string

	mu      sync.Mutex
	accepts string
	tokens  []string
	caller  string // the name of its certificate
}

func serve(t *testing.T, creds credentials.TransportCredentials) *service {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{addr: listener.Addr().String()}
	server := grpc.NewServer(grpc.Creds(creds), grpc.UnaryInterceptor(s.check))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return s
}

func (s *service) check(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	md, _ := metadata.FromIncomingContext(ctx)
	token := strings.Join(md.Get("authorization"), ",")
	s.tokens = append(s.tokens, token)
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(info.State.PeerCertificates) > 0 {
			s.caller = info.State.PeerCertificates[0].Subject.CommonName
		}
	}
	if s.accepts != "" && token != s.accepts {
		return nil, status.Error(codes.Unauthenticated, "unknown token")
	}
	return handle(ctx, request)
}

func (s *service) accept(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepts = token
}

func secret(t *testing.T, source client.Source) *client.Secret {
	t.Helper()
	c, err := client.Open(client.Options{Source: source, Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s := c.Secret(name)
	if _, err := s.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// call makes one call on a connection of its own.
func call(t *testing.T, s *service, o ...grpc.DialOption) error {
	t.Helper()
	conn, err := grpc.NewClient(s.addr, o...)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	return err
}

// encrypted is a server with a certificate, and what a client needs to trust it.
func encrypted(t *testing.T) (*service, grpc.DialOption) {
	t.Helper()
	c := tlscert.New(secret(t, client.Static{name: client.NewValue("v1", certs.New(t, "authority").Issue(t, "server"))}), tlscert.Options{})
	config, err := c.Client(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, grpccreds.Server(c, nil)), grpc.WithTransportCredentials(credentials.NewTLS(config))
}

func TestARefusedTokenIsReplaced(t *testing.T) {
	source := clienttest.NewSource()
	source.DisablePush()
	source.Set(name, map[string]string{"token": "one"})
	s, trust := encrypted(t)
	token := grpccreds.NewToken(secret(t, source), grpccreds.TokenOptions{})
	o := []grpc.DialOption{trust, grpc.WithPerRPCCredentials(token), grpc.WithUnaryInterceptor(token.Retry)}
	s.accept("Bearer one")
	if err := call(t, s, o...); err != nil {
		t.Fatal(err)
	}
	source.Set(name, map[string]string{"token": "two"})
	s.accept("Bearer two")
	if err := call(t, s, o...); err != nil {
		t.Error(err)
	}
	if got := strings.Join(s.tokens, ", "); got != "Bearer one, Bearer one, Bearer two" {
		t.Error(got)
	}
	// After a rollback, the version before is the one that's accepted.
	s.accept("Bearer one")
	if err := call(t, s, o...); err != nil {
		t.Error(err)
	}
	s.accept("Bearer none of them")
	if err := call(t, s, o...); status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
}

func TestATokenIsNeverSentWithoutTLS(t *testing.T) {
	s := serve(t, insecure.NewCredentials())
	token := grpccreds.NewToken(secret(t, client.Static{name: client.NewValue("v1", map[string]string{"token": "canary"})}), grpccreds.TokenOptions{})
	err := call(t, s, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(token))
	if err == nil || len(s.tokens) > 0 || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v, and the server got %q", err, s.tokens)
	}
}

func TestATokenInAnotherPlace(t *testing.T) {
	v := client.NewValue("v1", map[string]string{"key": "canary", "lines": "a\nb"})
	s := secret(t, client.Static{name: v})
	md, err := grpccreds.NewToken(s, grpccreds.TokenOptions{Field: "key", Key: "x-api-key"}).GetRequestMetadata(t.Context())
	if err != nil || len(md) != 1 || md["x-api-key"] != "canary" {
		t.Errorf("%d keys, %v", len(md), err)
	}
	for _, field := range []string{"lines", "missing"} {
		if _, err := grpccreds.NewToken(s, grpccreds.TokenOptions{Field: field}).GetRequestMetadata(t.Context()); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Each new connection has the certificates of now, on both sides.
func TestConnectionsFollowACertificate(t *testing.T) {
	sources := map[string]*clienttest.Source{"server": clienttest.NewSource(), "client": clienttest.NewSource()}
	rotate := func(round string) {
		authority := certs.New(t, "authority "+round)
		for side, source := range sources {
			source.Set(name, authority.Issue(t, side+" "+round))
		}
	}
	rotate("1")
	at, of := secret(t, sources["server"]), secret(t, sources["client"])
	s := serve(t, grpccreds.Server(tlscert.New(at, tlscert.Options{}), &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert}))
	creds := grpccreds.Client(tlscert.New(of, tlscert.Options{}), nil).Clone()
	for _, round := range []string{"1", "2", "3"} {
		if round != "1" {
			rotate(round)
			for deadline := time.After(time.Minute); at.Status().Version != "v"+round || of.Status().Version != "v"+round; {
				select {
				case <-deadline:
					t.Fatal("it never arrived")
				case <-time.After(time.Millisecond):
				}
			}
		}
		if err := call(t, s, grpc.WithTransportCredentials(creds)); err != nil || s.caller != "client "+round {
			t.Errorf("round %s: %q, %v", round, s.caller, err)
		}
	}
}
