package authn

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientAddress is the address that a request comes from; invalid if there is
// none, as over a Unix socket. X-Forwarded-For counts only as far as trusted
// proxies wrote it: from the right, up to the first address that isn't a
// proxy's.
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

// parseAddress parses an address with or without a port.
func parseAddress(s string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap().WithZone(""), err == nil
}
