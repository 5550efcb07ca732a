package daemon

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// ownHostsOnly refuses requests without TLS for a name that can't be this machine's.
// Otherwise a website could have its own name point to a visitor's 127.0.0.1, and
// their browser would take what Rota answers for a page of that website. With TLS,
// the certificate shows that. What a trusted proxy sends is for a name of its own.
func (d *Daemon) ownHostsOnly(next http.Handler) http.Handler {
	if d.settings.CertFile != "" {
		return next
	}
	machine, _ := os.Hostname() // without one, it's reached by address
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isOwnHost(r.Host, machine) && !isProxy(r.RemoteAddr, d.settings.Proxies) {
			writeJSON(w, http.StatusMisdirectedRequest, map[string]string{
				"status": "without TLS, the host must be localhost, this machine's name or an address: set trusted_proxies for a proxy that sends other names"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isOwnHost reports whether a website on the internet can't have the host of a
// request's address: an IP address, a name without a domain or in a private one, or
// the machine's own.
func isOwnHost(host, machine string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]") // it has no port
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == strings.ToLower(machine) || slices.Contains(privateDomains, name[strings.LastIndexByte(name, '.')+1:]) || !strings.Contains(name, ".")
}

// privateDomains are the top-level domains that nobody can have on the internet, such
// as those of a cluster's services and of host.docker.internal.
var privateDomains = []string{"internal", "local", "localhost", "svc", "test"}

func isProxy(remote string, proxies []netip.Prefix) bool {
	at, err := netip.ParseAddrPort(remote)
	return err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(at.Addr().Unmap().WithZone("")) })
}
