package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Config says how Rota logs in to change users.
type Config struct {
	// Addresses are the servers that have the users: host:port, a host, or the
	// path of a Unix socket. ACL users aren't replicated, so each replica and each
	// node of a cluster is listed by itself, the primary first.
	Addresses []string
	// Username is Rota's own user, and Password its password.
	Username, Password string
	// TLS encrypts connections and verifies the server's certificate. nil means
	// yes, and no for loopback addresses and sockets.
	TLS *bool
	// Certificates are the authorities to trust, and the client's own certificate.
	Certificates provider.Certificates
	// Persist is how a change outlasts a restart of the server. Defaults to
	// asking the server.
	Persist Persist
	// Timeout limits one login, and one command. Defaults to 10 s.
	Timeout time.Duration
	// Reach decides which addresses may be reached; nil for all.
	Reach provider.Reach
}

// Persist is how changes of users outlast a restart.
type Persist string

// The ways.
const (
	PersistAsk    Persist = ""            // ask the server which of the next two it is
	PersistACL    Persist = "acl_file"    // ACL SAVE
	PersistConfig Persist = "config_file" // CONFIG REWRITE
	PersistNone   Persist = "none"        // something else creates the users when the server starts
)

const (
	defaultPort    = "6379"
	defaultTimeout = 10 * time.Second
	// maxConns is the maximum number of Rota's own connections to a server.
	maxConns = 16
)

func (c Config) validate() error {
	var errs []error
	refuse := func(hint, format string, args ...any) {
		errs = append(errs, rota.WithRemedies(fmt.Errorf(format, args...), rota.Configure("", hint)))
	}
	if len(c.Addresses) == 0 {
		refuse("addresses: [redis.internal:6379]", "no address")
	}
	for i, address := range c.Addresses {
		if _, _, err := endpoint(address); err != nil {
			// It isn't repeated: it may be a URL with a password.
			refuse("redis.internal:6379, with username and password in keys of their own", "address %d: %w", i+1, err)
		}
	}
	if c.Username == "" {
		refuse("a user for Rota itself", "username is empty")
	}
	if c.Timeout < 0 {
		refuse("", "timeout %s is negative", c.Timeout)
	}
	return errors.Join(errs...)
}

// endpoint is an address as package net takes it.
func endpoint(address string) (network, addr string, err error) {
	if filepath.IsAbs(address) {
		return "unix", filepath.Clean(address), nil
	}
	if strings.ContainsAny(address, "@/ ") {
		return "", "", errors.New("is a URL or has a login in it")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), defaultPort
	}
	if n, err := strconv.Atoi(port); host == "" || err != nil || n < 1 || n > 65535 {
		return "", "", errors.New("isn't a host, a host and a port, or a path")
	}
	return "tcp", net.JoinHostPort(host, port), nil
}

// loopback reports whether traffic to an endpoint stays on this machine.
func loopback(network, addr string) bool {
	if network == "unix" {
		return true
	}
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") || ip != nil && ip.IsLoopback()
}

// encrypted reports whether connections to an endpoint use TLS.
func (c Config) encrypted(network, addr string) bool {
	if c.TLS != nil {
		return *c.TLS && network != "unix"
	}
	return !loopback(network, addr)
}

// options are go-redis's settings for one endpoint and login. Nothing is retried
// here: whoever calls decides about that.
func (c Config) options(network, addr string, trust *tls.Config, username, password string) *redis.Options {
	dialer := c.Reach.Dialer(c.Timeout)
	return &redis.Options{
		Network: network, Addr: addr, Username: username, Password: password,
		Protocol: 2, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout,
		PoolSize: maxConns, PoolTimeout: c.Timeout, ConnMaxIdleTime: time.Minute, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil || !c.encrypted(network, addr) {
				return conn, err
			}
			ctx, cancel := context.WithTimeout(ctx, c.Timeout)
			defer cancel()
			t := trust.Clone()
			t.ServerName, _, _ = net.SplitHostPort(addr)
			secure := tls.Client(conn, t)
			if err := secure.HandshakeContext(ctx); err != nil {
				_ = conn.Close()
				return nil, err
			}
			return secure, nil
		},
	}
}
