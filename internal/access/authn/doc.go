// Package authn tells who sent an HTTP request: from an access key as a
// signature or a bearer token, an id token, or a client certificate. It also
// holds back those who ask too often. What a caller may do is in package
// access.
package authn
