package provider

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Reach decides which addresses a connection may reach. It's a [net.Dialer]'s
// ControlContext, which is asked after the lookup: what a name resolves to may change
// in between. nil allows every address.
//
// A connection that reaches a network sets it for each of its dialers, see
// [Build].Reach.
type Reach func(ctx context.Context, network, address string, c syscall.RawConn) error

// ErrOutOfReach means that a [Reach] refused an address.
var ErrOutOfReach = errors.New("the address is on a private network or on Rota's own machine, and rota.yaml's controller.networks doesn't allow it to connections of namespaces")

// special are the networks that an allowed network only covers if it's one of them, or
// a part: this machine, and the addresses at which clouds serve credentials to their
// virtual machines. Whoever allows 0.0.0.0/0 doesn't mean those.
var special = prefixes(
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32",
	"::/128", "::1/128", "fe80::/10", "fd00:ec2::/32", "fd20:ce::/32",
)

// ReachOnly allows public addresses, and those of the networks.
func ReachOnly(networks ...netip.Prefix) Reach {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil || !reaches(networks, to.Addr().Unmap().WithZone("")) {
			return ErrOutOfReach
		}
		return nil
	}
}

func reaches(networks []netip.Prefix, a netip.Addr) bool {
	if PublicAddress(a) && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return true
	}
	return slices.ContainsFunc(networks, func(allowed netip.Prefix) bool {
		return allowed.Contains(a) && !slices.ContainsFunc(special, func(p netip.Prefix) bool {
			return p.Contains(a) && allowed.Bits() < p.Bits()
		})
	})
}

// Dialer returns a dialer that reaches no other addresses. A timeout of 0 is none.
func (r Reach) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, ControlContext: r}
}
