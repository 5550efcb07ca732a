// Package authn finds out who sent an HTTP request, from an access key used as
// a signature or bearer token, an ID token, or a client certificate. It also
// rate-limits callers. What a caller may do is in package access.
package authn
