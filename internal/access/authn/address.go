package authn

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientAddress is the address that a request comes from; not valid where there is none,
// as over a socket file. X-Forwarded-For counts as far as configured proxies
// wrote it: from the right, up to the first address that is none of theirs.
func (a *Authenticator) ClientAddress(r *http.Request) netip.Addr {
	from, ok := parseAddress(r.RemoteAddr)
	if !ok || !a.trusts(from) {
		return from
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		before, ok := parseAddress(strings.TrimSpace(hop))
		if !ok {
			return from
		}
		if from = before; !a.trusts(from) {
			return from
		}
	}
	return from
}

func (a *Authenticator) trusts(proxy netip.Addr) bool {
	return slices.ContainsFunc(a.opts.Proxies, func(p netip.Prefix) bool { return p.Contains(proxy) })
}

// parseAddress reads an address, with a port or without.
func parseAddress(s string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap().WithZone(""), err == nil
}
