// Package api is the client of a running Rota (rota serve), and the documents
// that its REST API takes and gives.
//
//	c, err := api.New(api.Options{
//		URL:   "https://rota.example.com",
//		Token: api.TokenFromFile("/var/run/secrets/rota/token"),
//	})
//	if err != nil {
//		return err
//	}
//	status, err := c.Status(ctx, api.StatusRequest{})
//
// # Who asks
//
// The server authenticates a bearer token, either a key of its own
// (rota_…, made with rota access create-key) or an id token of an issuer that
// it trusts, or a client certificate. A [TokenSource] is asked for every
// request, so a token that is replaced while the program runs is picked up.
//
// # Errors
//
// What the server refuses is an [*Error] with the status, a detail and a hint.
// Tell the kinds apart with [errors.Is]: [ErrUsage], [ErrDenied],
// [ErrUnauthenticated] and [ErrLimited] of this package, and [rota.ErrNotFound],
// [rota.ErrBusy] and [rota.ErrConflict]. Any other error means that no answer
// was had.
//
// # Retries
//
// The client repeats no request by itself, except that [Client.Follow]
// reconnects. Every request that changes something carries an Idempotency-Key,
// so net/http may safely resend one whose connection broke before it was
// answered.
//
// # Values
//
// [GetDoc] and [KeyDoc] are the only documents that hold secrets. Don't log
// them.
package api
