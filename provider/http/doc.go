// Package http is the provider for whatever has an HTTP API that nobody wrote a
// provider for: an issuer, a target and a reloader made of requests that rota.yaml
// describes. Rota speaks JSON over TLS, and puts values into headers and bodies
// only.
//
// describe.go says what rota.yaml can name. The other files do the work and know
// nothing of rota.yaml.
package http
