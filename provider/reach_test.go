package provider

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestReachOnlyAllowsPublicAddressesAndTheNetworks(t *testing.T) {
	database := []string{"10.20.0.0/16"}
	everything := []string{"0.0.0.0/0", "::/0"}
	for _, c := range []struct {
		name, address string
		networks      []string
		want          bool
	}{
		{"a public address", "93.184.216.34:5432", nil, true},
		{"a public IPv6 address", "[2606:2800:220:1::1]:443", nil, true},
		{"a private address", "10.20.1.2:5432", nil, false},
		{"an allowed one", "10.20.1.2:5432", database, true},
		{"an allowed one in IPv6's form", "[::ffff:10.20.1.2]:5432", database, true},
		{"one beside the allowed", "10.21.1.2:5432", database, false},
		{"a unique local address", "[fd12::1]:5432", nil, false},
		{"any private one, if all are allowed", "192.168.1.2:5432", everything, true},
		{"this machine", "127.0.0.1:5432", nil, false},
		{"this machine, if everything is allowed", "127.0.0.1:5432", everything, false},
		{"this machine in IPv6", "[::1]:5432", everything, false},
		{"this machine in IPv6's form", "[::ffff:127.0.0.1]:5432", everything, false},
		{"this machine by another address", "127.9.9.9:80", everything, false},
		{"this machine, allowed by name", "127.0.0.1:5432", []string{"127.0.0.1/32"}, true},
		{"no address", "0.0.0.0:80", everything, false},
		{"the metadata service", "169.254.169.254:80", everything, false},
		{"the metadata service in IPv6's form", "[::ffff:169.254.169.254]:80", everything, false},
		{"AWS's in IPv6", "[fd00:ec2::254]:80", everything, false},
		{"Azure's", "168.63.129.16:80", everything, false},
		{"Alibaba's", "100.100.100.200:80", everything, false},
		{"a link-local address with a zone", "[fe80::1%eth0]:80", everything, false},
		{"the metadata service, allowed by name", "169.254.169.254:80", []string{"169.254.169.254/32"}, true},
		{"a Unix socket", "/var/run/postgresql/.s.PGSQL.5432", everything, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var networks []netip.Prefix
			for _, text := range c.networks {
				networks = append(networks, netip.MustParsePrefix(text))
			}
			err := ReachOnly(networks...)(t.Context(), "tcp", c.address, nil)
			if (err == nil) != c.want || err != nil && !errors.Is(err, ErrOutOfReach) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestADialerAsksAfterTheLookup(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if conn, err := ReachOnly().Dialer(10*time.Second).DialContext(t.Context(), "tcp", "localhost:"+port); err == nil {
		_ = conn.Close()
		t.Error("localhost was reached by its name")
	} else if !errors.Is(err, ErrOutOfReach) {
		t.Errorf("got %v", err)
	}
	for name, reach := range map[string]Reach{"allowed": ReachOnly(netip.MustParsePrefix("127.0.0.0/8")), "unlimited": nil} {
		conn, err := reach.Dialer(10*time.Second).DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = conn.Close()
	}
}
