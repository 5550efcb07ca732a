package provider

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
)

// reserved are the networks that are neither private by their name nor public:
// IANA's special-purpose registries for IPv4 and IPv6, IPv4 addresses wrapped
// into IPv6 in all the ways there have been, and the address at which Azure's
// hosts serve their virtual machines.
var reserved = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "240.0.0.0/4", "168.63.129.16/32",
	"::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32",
	"2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// PublicAddress reports whether an address is on the public internet.
func PublicAddress(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// ErrPrivate means that an address isn't on the public internet.
var ErrPrivate = errors.New("its address is on a private network or on this machine")

// PublicOnly is a [net.Dialer]'s ControlContext that only allows connections to public
// addresses, so that a URL can't reach what only Rota can reach. It's asked after the
// lookup: what a name resolves to may change in between.
func PublicOnly(_ context.Context, _, address string, _ syscall.RawConn) error {
	if to, err := netip.ParseAddrPort(address); err != nil || !PublicAddress(to.Addr()) {
		return ErrPrivate
	}
	return nil
}
