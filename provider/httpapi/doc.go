// Package httpapi is what systems with a JSON API over HTTP have in common: a connection
// that logs in with a header, requests and what their failures mean, and the issuer of
// tokens that such a system makes, lists and deletes. What only one system needs is in
// its own package.
//
// A provider describes its [System], whose connections [ConnectionKind] puts into
// rota.yaml, and says how tokens are made, listed, tried and deleted ([TokenAPI]).
// [Connection], [Tokens] and [TokenConfig] do the rest. provider/grafana is the shortest.
package httpapi
